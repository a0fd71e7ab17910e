//! What it costs to choose a worker among 2,000, and to give the place back, by policy; and to
//! hash the beginnings of a prompt.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has failed"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use fathom_proto::Error;
use fathom_proto::inference::{
    EmbedRequest, Embeddings, GenerateRequest, Inference, Prompt, RequestContext, TokenStream,
};
use fathom_router::Policy;
use fathom_router::bench::Fleet;

const WORKERS: usize = 2_000;

fn picks(criterion: &mut Criterion) {
    let nothing: Arc<dyn Inference> = Arc::new(Nothing);
    for policy in [
        Policy::PowerOfTwo,
        Policy::LeastLoad,
        Policy::RoundRobin,
        Policy::Weighted,
        Policy::PrefixAffinity,
    ] {
        let fleet = Fleet::new(policy, WORKERS, &nothing).unwrap();
        let _running: Vec<_> = (0..WORKERS * 4).map(|_| fleet.pick(&[])).collect();
        let mut prompt = 0;
        criterion.bench_function(&format!("pick, {policy:?}"), |bencher| {
            bencher.iter(|| {
                // Of 1,000 prompts with 8 beginnings each.
                prompt = (prompt + 1) % 1_000;
                let prefixes: [u64; 8] = std::array::from_fn(|block| prompt * 8 + block as u64);
                assert!(black_box(fleet.pick(&prefixes)).is_some());
            });
        });
    }
    for length in [2_000, 100_000] {
        let prompt = Prompt::Text("a word ".repeat(length / 7));
        criterion.bench_function(&format!("beginnings of {length} bytes"), |bencher| {
            bencher.iter(|| Fleet::prefixes(black_box(&prompt)));
        });
    }
}

criterion_group!(benches, picks);
criterion_main!(benches);

struct Nothing;

#[tonic::async_trait]
impl Inference for Nothing {
    async fn generate(&self, _: GenerateRequest, _: RequestContext) -> Result<TokenStream, Error> {
        Ok(Box::pin(futures::stream::empty()))
    }

    async fn embed(&self, _: EmbedRequest, _: RequestContext) -> Result<Embeddings, Error> {
        Err(Error::internal("nothing"))
    }
}
