//! Compiles forms for one vocabulary.

use std::sync::{Mutex, PoisonError};
use std::thread;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};

use super::error::problem;
use super::grammar::{Grammar, Mark};
use super::{Constraint, ConstraintError, Form};

/// Compiles forms for one vocabulary. Making it takes hundreds of
/// milliseconds, so it is made once.
pub(crate) struct Compiler {
    factory: ParserFactory,
    /// Held while one compiles, so that hard grammars take one core at most.
    compiling: Mutex<()>,
}

/// Schemas that are compiled alone to find out which one is at fault.
const SUSPECTS: usize = 8;

/// Bytes of stack to compile with; only what is touched takes memory.
const STACK: usize = 64 * 1024 * 1024;

/// What a constraint may cost, in llguidance's units: a second to compile, and
/// tens of milliseconds for a token.
fn limits() -> ParserLimits {
    ParserLimits {
        max_lexer_states: 50_000,
        max_grammar_size: 200_000,
        // Errors go to the caller.
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

impl Compiler {
    /// Indexes the vocabulary of `model`.
    pub(crate) fn of(model: &LlamaModel) -> Result<Self, ConstraintError> {
        let vocabulary = LlamaSampler::llguidance_tok_env(model);
        let mut factory = ParserFactory::new_simple(&vocabulary).map_err(|error| {
            ConstraintError::Vocabulary {
                problem: problem(&error.to_string()),
            }
        })?;
        *factory.limits_mut() = limits();
        factory.quiet();
        Ok(Self {
            factory,
            compiling: Mutex::new(()),
        })
    }

    /// Compiles `form`.
    pub(crate) fn compile(
        &self,
        form: &Form,
        mark: Mark<'_>,
    ) -> Result<Constraint, ConstraintError> {
        let grammar = Grammar::of(form, mark)?;
        let _compiling = self
            .compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.matcher(grammar.whole())
            .map(Constraint)
            .map_err(|problem| self.blame(&grammar, problem))
    }

    /// The error that names the schema at fault.
    fn blame(&self, grammar: &Grammar, problem: String) -> ConstraintError {
        grammar
            .parts()
            .take(SUSPECTS)
            .find_map(|(part, alone)| Some(part.error(self.matcher(alone).err()?)))
            .unwrap_or(ConstraintError::Together { problem })
    }

    /// Compiles `grammar` on a thread of its own: a deep schema may take more
    /// stack than other threads have.
    fn matcher(&self, grammar: TopLevelGrammar) -> Result<Matcher, String> {
        let matcher = thread::scope(|scope| {
            thread::Builder::new()
                .name("fathom-grammar".into())
                .stack_size(STACK)
                .spawn_scoped(scope, || Matcher::new(self.factory.create_parser(grammar)))
                .map(|compiling| compiling.join())
        });
        let Ok(Ok(mut matcher)) = matcher else {
            return Err("the compiler of grammars fails on it".to_owned());
        };
        // A grammar that is too complex is known to be at its first token.
        let mask = matcher
            .compute_mask()
            .map_err(|error| problem(&error.to_string()))?;
        if mask.is_zero() {
            return Err("it allows nothing".to_owned());
        }
        Ok(matcher)
    }
}
