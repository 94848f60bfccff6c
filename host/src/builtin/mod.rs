//! Native behaviours: what a scenario can name without any plugin.
//!
//! Each file holds the options, the code and the tests of one behaviour, so that adding one is a new file and one line in the
//! `register` of its folder. [`latency`] says when tokens leave, [`fault`] what fails, [`responder`] what is answered (and holds
//! the writers of text and JSON), [`tokenizer`] how texts are counted. All draws are keyed by the call's
//! seed: nothing here keeps state that an answer depends on.

use crate::behavior::catalog::Catalog;

pub mod fault;
pub mod latency;
pub mod responder;
pub mod tokenizer;

/// Adds every native behaviour, writer and tokenizer to `catalog`. Later entries of the same name would replace these.
pub fn register(catalog: &mut Catalog) {
    latency::register(&mut catalog.latency);
    fault::register(&mut catalog.fault);
    responder::register(catalog);
    tokenizer::register(&mut catalog.tokenizers);
}

#[cfg(test)]
pub(crate) mod testing {
    //! A request and a call for the tests of behaviours.

    use std::sync::Arc;

    use crate::behavior::call::Call;
    use crate::types::request::Request;
    pub(crate) use crate::types::request::testing::request;

    /// The first call for `request` with `seed`.
    pub(crate) fn call(request: &Arc<Request>, seed: u64) -> Call<'_> {
        Call {
            identity: 1,
            attempt: 0,
            occurrence: 0,
            seed,
            now: Default::default(),
            model: 0,
            tenant: 0,
            stage: 0,
            operation: request.operation,
            input_tokens: 10,
            max_output_tokens: 4_096,
            running: 0,
            waiting: 0,
            request,
            draws: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_names_every_native_behaviour() {
        let mut catalog = Catalog::default();
        register(&mut catalog);
        let latency =
            ["constant", "delays", "empirical", "exponential", "gamma", "log-normal", "mixture", "pareto", "uniform", "weibull"];
        assert_eq!(catalog.latency.keys().collect::<Vec<_>>(), latency);
        let mut faults = vec!["content-filter", "context-length", "cut", "drip", "error-event", "hang", "http-error", "length"];
        faults.extend(["none", "refusal", "reset", "stall"]);
        faults.extend(fault::damage::TABLE.map(|(damage, _)| damage.name()));
        faults.sort_unstable();
        assert_eq!(catalog.fault.keys().collect::<Vec<_>>(), faults);
        assert_eq!(
            catalog.responder.keys().collect::<Vec<_>>(),
            ["conversation", "echo", "fixed", "fixtures", "template", "text", "tool-calls"]
        );
        assert_eq!(catalog.styles.len(), 26);
        assert_eq!(catalog.tokenizers.keys().collect::<Vec<_>>(), ["estimate", "exact"]);
        assert!(catalog.json.is_some());
    }
}
