//! What the asks of a workload look like as requests: one shared [`Request`] for each class and tenant, not one a request.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::plan::generation::Generation;
use crate::plan::identity::{Identity, content_of, of_header};
use crate::plan::prefix;
use crate::plan::token_counts::input_tokens;
use crate::random::Key;
use crate::scenario::Scenario;
use crate::station::replica;
use crate::types::request::{Message, Request, Role};
use crate::workload::{Ask, Class, Prefix, Prompt, Workload};

/// The header that names a tenant where the scenario names none of its own.
const TENANT_HEADER: HeaderName = HeaderName::from_static("x-simwright-tenant");

/// The requests of a workload.
pub(super) struct Templates {
    scenario: Arc<Scenario>,
    classes: Vec<Class>,
    tenants: Vec<String>,
    header: HeaderName,
    /// What the identities of all requests begin with, the number behind it.
    name: Vec<u8>,
    /// By class and tenant; made with the first request.
    made: Vec<Option<Template>>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Template {
    pub(super) request: Arc<Request>,
    /// The entry of `models` that matches its model's name first.
    pub(super) first_entry: Option<usize>,
    /// Hash of the request; of those that are all different, what their hashes begin with.
    content: u64,
    /// Number of the tenant, as quotas know it.
    pub(super) tenant: u64,
    /// The tier that counts for the tenant.
    pub(super) tier: Option<usize>,
    /// Is every prompt the same text?
    is_literal: bool,
    /// The blocks of a literal prompt for the replicas of a model entry, once they are known.
    blocks: Vec<(usize, replica::Prefix)>,
}

impl Templates {
    pub(super) fn of(workload: &Workload, scenario: &Arc<Scenario>) -> Self {
        let classes = workload.classes.clone();
        Self {
            scenario: Arc::clone(scenario),
            made: vec![None; classes.len() * workload.tenants.len()],
            tenants: workload.tenants.clone(),
            header: scenario.tenant_header.clone().unwrap_or(TENANT_HEADER),
            name: identity_of(&scenario.name, None).into_bytes(),
            classes,
        }
    }

    /// Counts literal prompts as the server counts them, with what the chat format adds.
    pub(super) fn count_prompts(&mut self, generation: &Generation, workload: &mut Workload) {
        for (index, class) in workload.classes.iter_mut().enumerate() {
            let tenant = class.tenants.first().map_or(0, |(tenant, _)| *tenant as usize);
            if let Prompt::Text { tokens, .. } = &mut class.prompt {
                *tokens = Some(input_tokens(generation, &self.made(index, tenant).request));
            }
        }
    }

    /// The template of `ask`.
    pub(super) fn of_ask(&mut self, ask: &Ask) -> &mut Template {
        self.made(ask.class as usize, ask.tenant as usize)
    }

    fn made(&mut self, class: usize, tenant: usize) -> &mut Template {
        let Self { scenario, classes, tenants, header, made, .. } = self;
        let place = class * tenants.len() + tenant;
        made[place].get_or_insert_with(|| Template::of(&classes[class], &tenants[tenant], header, scenario))
    }

    /// Who `ask` is, as the server would say if its client sent [`identity_of`] and its attempt in headers. A number comes once, and an
    /// attempt of it too, so nothing has been seen before.
    pub(super) fn identity(&mut self, ask: &Ask) -> Identity {
        let prefix = self.name.len();
        let mut digits = [0; 20];
        self.name.extend_from_slice(decimal(ask.number, &mut digits));
        let identity = of_header(&self.name);
        self.name.truncate(prefix);
        let Template { content, is_literal, .. } = *self.of_ask(ask);
        let content = match ask.prompt {
            _ if is_literal => content,
            Some(prompt) => Key::of_seed(content).named("again").with(prompt.get()).bits(),
            None => Key::of_seed(content).with(ask.number).bits(),
        };
        Identity { content, identity, attempt: ask.attempt, occurrence: 0 }
    }
}

/// What a client sends as `x-simwright-identity` for the request `number` of a run of the scenario called `name`, so that the live server
/// decides as the run in virtual time has; without a number what all of them begin with.
pub fn identity_of(name: &str, number: Option<u64>) -> String {
    number.map_or_else(|| format!("{name}-"), |number| format!("{name}-{number}"))
}

/// `number` in decimal digits.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[from..];
        }
    }
}

impl Template {
    /// What of the prompt of `ask` the replicas of the entry `model`, whose blocks have `block_tokens`, may know: of a literal prompt
    /// what the live server finds in it, of others what the workload says.
    pub(super) fn prefix(
        &mut self,
        generation: &Generation,
        ask: &Ask,
        model: usize,
        block_tokens: Option<u32>,
    ) -> replica::Prefix {
        if !self.is_literal || block_tokens.is_none() {
            return prefix_of(&ask.prefix, block_tokens);
        }
        if let Some((_, known)) = self.blocks.iter().find(|(known, _)| *known == model) {
            return known.clone();
        }
        let blocks = prefix::prefix_of(generation, model, &self.request);
        self.blocks.push((model, blocks.clone()));
        blocks
    }

    fn of(class: &Class, tenant: &str, header: &HeaderName, scenario: &Scenario) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(tenant) {
            headers.insert(header.clone(), value);
        }
        let text = match &class.prompt {
            Prompt::Text { text, .. } => &**text,
            Prompt::Length(_) => "",
        };
        let message = Message::new(Role::User, text);
        let (streams, shows_usage) = (class.stream, !class.stream);
        let request = Request { streams, shows_usage, headers, ..Request::chat(&class.model, vec![message]) };
        let content = Key::of_seed(content_of(&request)).named(&class.name).bits();
        let is_literal = matches!(class.prompt, Prompt::Text { .. });
        let content = if is_literal { content_of(&request) } else { content };
        Self {
            first_entry: scenario.find(&class.model),
            tenant: request.tenant_key(scenario.tenant_header.as_ref()),
            request: Arc::new(request),
            content,
            tier: scenario.tier_of(|| tenant),
            is_literal,
            blocks: Vec::new(),
        }
    }
}

/// `prefix` in blocks of `block_tokens`: a recorded block that is larger becomes several, with hashes that follow from its own.
/// Blocks that are smaller, or no multiple, are shared by nobody; [`super::Fleet::begin`] refuses them.
pub(super) fn prefix_of(prefix: &Prefix, block_tokens: Option<u32>) -> replica::Prefix {
    match (prefix, block_tokens) {
        (Prefix::Group { group, tokens }, Some(_)) => replica::Prefix::Group { group: *group, tokens: *tokens },
        (Prefix::Blocks { block_tokens: recorded, hashes }, Some(own)) if *recorded == own => {
            replica::Prefix::Blocks(Arc::clone(hashes))
        }
        (Prefix::Blocks { block_tokens: recorded, hashes }, Some(own)) if recorded.is_multiple_of(own) => {
            let parts = u64::from(recorded / own);
            let split = |hash: &u64| (0..parts).map(move |part| Key::of_seed(*hash).with(part).bits()).collect::<Vec<_>>();
            replica::Prefix::Blocks(hashes.iter().flat_map(split).collect())
        }
        _ => replica::Prefix::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_those_of_the_header_that_a_client_would_send() {
        let mut digits = [0; 20];
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
        assert_eq!(identity_of("night", Some(12)), "night-12");
    }

    #[test]
    fn recorded_blocks_become_blocks_of_the_replica() {
        let hashes: Arc<[u64]> = [7, 8].into();
        let recorded = Prefix::Blocks { block_tokens: 512, hashes: Arc::clone(&hashes) };
        let replica::Prefix::Blocks(split) = prefix_of(&recorded, Some(16)) else { panic!("blocks") };
        assert_eq!(split.len(), 64);
        let again = prefix_of(&Prefix::Blocks { block_tokens: 512, hashes: [7].into() }, Some(16));
        assert_eq!(again, replica::Prefix::Blocks(split[..32].into()));
        assert_eq!(prefix_of(&recorded, Some(512)), replica::Prefix::Blocks(hashes));
        assert_eq!((prefix_of(&recorded, None), prefix_of(&recorded, Some(500))), (replica::Prefix::None, replica::Prefix::None));
    }
}
