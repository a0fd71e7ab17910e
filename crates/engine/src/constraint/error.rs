//! Why a form cannot be enforced.

/// Why an answer cannot be made to have a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// The JSON Schema of the text cannot be enforced.
    #[error("the schema cannot be enforced: {problem}")]
    Schema {
        /// What is wrong with it.
        problem: String,
    },
    /// The JSON Schema of a function's arguments cannot be enforced.
    #[error("the schema cannot be enforced: {problem}")]
    Parameters {
        /// Which function, from 0.
        function: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// All schemas together are more than can be enforced.
    #[error("the schemas together cannot be enforced: {problem}")]
    Together {
        /// What is wrong.
        problem: String,
    },
    /// The model calls functions in no form that is known here.
    #[error("the model's chat template shows no known form of function calls")]
    NoCalls,
    /// The vocabulary cannot be indexed.
    #[error("the vocabulary cannot be indexed for constraints: {problem}")]
    Vocabulary {
        /// What is wrong with it.
        problem: String,
    },
}

/// Longest problem that is told, in characters.
const LONGEST: usize = 300;

/// What llguidance says, in one line, and without what it says of itself.
pub(super) fn problem(error: &str) -> String {
    if error.starts_with("panic") {
        return "it makes the compiler of grammars fail; simplify it".to_owned();
    }
    if error.starts_with("NoExtension") {
        return "it allows nothing".to_owned();
    }
    let line = error.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
