//! Texts to vectors, with weights that are made to look made for it.

use std::num::NonZeroUsize;
use std::time::Duration;

use fathom_engine::{
    EmbedError, EmbedText, Embedder, EmbedderOptions, LoadError, Pooling, Token, Weights,
};

use crate::harness::{Result, engine, weights};
use crate::python::weights_with;

const OPTIONS: EmbedderOptions = EmbedderOptions {
    context_length: 64,
    threads: NonZeroUsize::MIN,
    // As many as an operator who wants no limit may write.
    max_waiting: usize::MAX,
    max_wait: Duration::from_secs(3600),
};

/// The test model with the metadata of an embedding model, which pools by the mean.
fn embedding_weights() -> Result<Weights> {
    weights_with(&["llama.pooling_type=1"])
}

fn text(text: &str) -> EmbedText {
    EmbedText::Text(text.into())
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

#[tokio::test]
async fn vectors_are_near_for_texts_that_mean_the_same() -> Result {
    let _alone = engine().await?;
    let weights = embedding_weights()?;
    assert_eq!(weights.info().pooling, Some(Pooling::Mean));
    assert_eq!(weights.info().embedding_length, 576);
    let embedder = Embedder::start(weights, OPTIONS)?;
    let texts = [
        text("The cat sleeps on the sofa."),
        text("A kitten is sleeping on the couch."),
        text("SELECT id FROM invoices WHERE total > 100;"),
    ];
    let together = embedder.submit("tenant", &texts, None)?;
    let together = together.started().await?.vectors().await?;
    let [cat, kitten, query] = together.vectors.as_slice() else {
        return Err("not three vectors".into());
    };
    assert!(dot(cat, kitten) > dot(cat, query) + 0.05);
    for (vector, alone) in together.vectors.iter().zip(&texts) {
        assert_eq!(vector.len(), 576);
        assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
        let alone = embedder
            .submit("tenant", std::slice::from_ref(alone), None)?
            .vectors()
            .await?;
        assert!(dot(vector, &alone.vectors[0]) > 0.999);
    }
    // More texts than one step takes come in their order.
    let many: Vec<_> = texts.iter().cycle().take(40).cloned().collect();
    let many = embedder.submit("tenant", &many, None)?.vectors().await?;
    assert!(dot(&many.vectors[39], cat) > 0.999);

    let short = embedder
        .submit("tenant", &texts, Some(64))?
        .vectors()
        .await?;
    assert_eq!(short.tokens, together.tokens);
    assert_eq!(short.vectors[0].len(), 64);
    assert!((dot(&short.vectors[0], &short.vectors[0]) - 1.0).abs() < 1e-4);
    assert!(dot(&short.vectors[0], &cat[..64]) > 0.0);
    refuses(&embedder)
}

fn refuses(embedder: &Embedder) -> Result {
    let refusal = |input: EmbedText, dimensions| {
        let texts = [text("fine"), input];
        embedder
            .submit("tenant", &texts, dimensions)
            .err()
            .ok_or("embedded")
    };
    let long = refusal(text(&"word ".repeat(65)), None)?;
    assert!(matches!(long, EmbedError::TooLong { text: 1, limit: 64 }));
    assert!(long.to_string().contains("64"));
    let longer = refusal(text(&"word ".repeat(1_000_000)), None)?;
    assert!(matches!(longer, EmbedError::TooLong { text: 1, limit: 64 }));
    let empty = refusal(text(""), None)?;
    assert!(matches!(empty, EmbedError::Empty { text: 1 }));
    let unknown = refusal(EmbedText::Tokens(vec![Token(i32::MAX)]), None)?;
    assert!(matches!(unknown, EmbedError::UnknownToken { text: 1 }));
    for dimensions in [0, 577] {
        let error = refusal(text("fine"), Some(dimensions))?;
        assert!(matches!(error, EmbedError::Dimensions { length: 576, .. }));
    }
    Ok(())
}

#[test]
fn weights_that_generate_text_make_no_vectors() -> Result {
    assert_eq!(weights()?.info().pooling, None);
    let error = Embedder::start(weights()?, OPTIONS).err();
    assert!(matches!(error, Some(LoadError::NoEmbeddings)));
    Ok(())
}
