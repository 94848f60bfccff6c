//! Chinese, in simplified characters: its words and its grammar.

use crate::builtin::responder::style::language::{Grammar, Language, Opening, Slot};

// There are no blanks, so neighbours may be one token for a vocabulary that knows them as one word: a text counts a few tokens less
// than it has pieces.
const THIS: Opening = Opening { bare: &["这个", "那个", "一个"], spaced: &["这个", "那个", "一个"] };
const WE: Opening = Opening { bare: &["我们", "他们"], spaced: &["我们", "他们"] };
const TODAY: Opening =
    Opening { bare: &["今天", "现在", "同时", "因此"], spaced: &["今天", "现在", "同时", "因此"] };
const IF: Opening = Opening { bare: &["如果", "虽然", "因为"], spaced: &["如果", "虽然", "因为"] };
const YES: Opening = Opening { bare: &["是", "对", "好的"], spaced: &["是", "对", "好的"] };
const GOOD: Opening = Opening { bare: &["可以", "应该"], spaced: &["可以", "应该"] };
const N: Slot = &[
    "系统", "模型", "服务", "问题", "答案", "方法", "结果", "城市", "数据", "信息", "市场", "项目", "计划", "用户", "网络",
    "过程", "技术", "公司", "报告", "世界", "内容", "机器", "语言", "社会", "学生", "老师", "文化", "产品", "环境", "企业",
    "设备", "平台", "任务", "研究", "工作", "历史", "价值", "质量",
];
const D: Slot = &["这个", "那个", "一个", "我们", "他们"];
const A: Slot = &["新的", "重要", "简单", "不同", "主要"];
const T: Slot = &[
    "需要", "提供", "支持", "改变", "解决", "影响", "使用", "发现", "说明", "提高", "保持", "分析", "选择", "管理", "建立",
    "了解", "实现", "满足", "利用",
];
const I: Slot = &["发展", "开始", "结束", "继续", "增加", "成功", "变化", "存在", "完成"];
const R: Slot = &["已经", "可能", "正在", "通常", "一直", "会", "可以", "应该", "能够", "也"];
const BUT: Slot = &["但是", "所以", "因为", "不过", "因此", "同时"];
const AND: Slot = &["和"];
const DE: Slot = &["的"];
const C: Slot = &["，"];

const GRAMMAR: Grammar = Grammar {
    cores: &[
        (YES, &[]),
        (GOOD, &[I]),
        (THIS, &[N, I]),
        (THIS, &[N, R, I]),
        (WE, &[R, T, N]),
        (THIS, &[N, T, N]),
        (THIS, &[N, R, T, N]),
        (TODAY, &[D, N, R, T, N]),
        (THIS, &[N, R, T, N, DE, N]),
        (WE, &[T, A, N, AND, N]),
        (IF, &[D, N, T, N, C, D, N, R, I]),
    ],
    tails: &[&[&[], &[C, BUT, D, N, I], &[C, BUT, D, N, R, T, N]], &[&[], &[C, D, N, R, I], &[C, D, N, R, T, A, N]]],
};

/// Chinese.
pub(super) fn language() -> Language {
    Language {
        code: "zh",
        sentences: GRAMMAR.sentences(),
        lone: "是",
        stops: ["。", "。\n", "。\n\n"],
        nouns: N,
        adjectives: A,
        title: &[A, N],
        greeting: &[&["好的"], &["！"]],
    }
}
