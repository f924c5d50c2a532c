//! Errors with their causes, as one text.

/// An error and what caused it, each once.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn every_cause_is_said_once() {
        let cause = Layer { text: "refused", source: None };
        let again = Layer { text: "refused", source: Some(Box::new(cause)) };
        let error = Layer { text: "connect", source: Some(Box::new(again)) };
        assert_eq!(with_causes(&error), "connect: refused");
    }
}
