//! The events of one generation, whichever workers they come from: one `Started`, each token
//! once, and an end.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use fathom_proto::Error as PublicError;
use fathom_proto::catalog::Deployment;
use fathom_proto::inference::{Delta, Event, GenerateRequest, RequestContext, Sampling};
use tower::retry::budget::Budget;

use crate::choice::Choice;
use crate::connection::Connection;
use crate::dispatch::Dispatch;
use crate::dispatch::attempt::{Attempt, Failure};
use crate::dispatch::attempts::Attempts;
use crate::dispatch::continuation::Progress;
use crate::dispatch::hedge::{Race, Step};
use crate::dispatch::observation::Observation;
use crate::dispatch::target::Target;
use crate::place::Place;
use crate::{Error, metrics};

/// Most pieces of a token that wait for its id: whoever has more was told of no token at all.
const MAX_HELD: usize = 64;

/// A generation that is not over.
pub(super) struct Generation {
    dispatch: Arc<Dispatch>,
    /// As the next worker is asked.
    request: GenerateRequest,
    /// What the caller said where a choice may say something else.
    asked: Asked,
    context: RequestContext,
    attempts: Attempts,
    /// What runs; `None`: nothing does at the moment.
    race: Option<Race>,
    /// The caller has `Started`.
    has_started: bool,
    progress: Progress,
    /// Pieces of a token whose id has not come; the next worker would tell them again.
    held: Vec<Delta>,
    /// What the caller gets next.
    due: VecDeque<Result<Event, PublicError>>,
    /// `None`: it is over.
    observation: Option<Observation>,
}

/// What a caller said where a choice may say something else.
struct Asked {
    sampling: Sampling,
    context_length: Option<u32>,
}

impl Generation {
    pub fn new(
        dispatch: &Arc<Dispatch>,
        mut request: GenerateRequest,
        context: RequestContext,
        target: Arc<Target>,
        observation: Observation,
    ) -> Self {
        let asked = Asked {
            sampling: request.sampling.clone(),
            context_length: request.context_length,
        };
        asked.apply(&observation.choice, &mut request);
        Self {
            attempts: Attempts::new(
                dispatch,
                target,
                &context,
                dispatch.prefixes(&request.prompt),
            ),
            dispatch: dispatch.clone(),
            request,
            asked,
            context,
            race: None,
            has_started: false,
            progress: Progress::Nothing,
            held: Vec::new(),
            due: VecDeque::new(),
            observation: Some(observation),
        }
    }

    /// The first event.
    pub async fn first(&mut self) -> Result<Event, PublicError> {
        if self.is_hedged() {
            self.dispatch.hedges.deposit();
        }
        let admitted = self.dispatch.admit(self.attempts.target(), &self.context);
        let first = match admitted {
            Ok(()) => self.advance().await,
            Err(error) => Err(error.into()),
        };
        self.observe(&first);
        first
    }

    /// The next event; `None` after `Finished` or an error.
    pub async fn next(&mut self) -> Option<Result<Event, PublicError>> {
        self.observation.as_ref()?;
        let next = self.advance().await;
        self.observe(&next);
        Some(next)
    }

    fn observe(&mut self, next: &Result<Event, PublicError>) {
        let Some(observation) = &mut self.observation else {
            return;
        };
        match next {
            Ok(event) => observation.event(event),
            Err(error) => observation.failed(error),
        }
        if matches!(next, Ok(Event::Finished { .. }) | Err(_)) {
            self.race = None;
            self.observation = None;
        }
    }

    async fn advance(&mut self) -> Result<Event, PublicError> {
        loop {
            if let Some(due) = self.due.pop_front() {
                return due;
            }
            let next = match self.step().await {
                Ok(Event::Delta(delta)) if self.awaits_id(&delta) => {
                    self.held.push(delta);
                    continue;
                }
                Ok(Event::Delta(mut delta)) => {
                    self.keep(&mut delta);
                    Ok(Event::Delta(delta))
                }
                next => next,
            };
            if self.held.is_empty() {
                return next;
            }
            let held = self.held.drain(..);
            self.due.extend(held.map(|delta| Ok(Event::Delta(delta))));
            self.due.push_back(next);
        }
    }

    /// The next event of a worker that the caller has not got.
    async fn step(&mut self) -> Result<Event, PublicError> {
        loop {
            let Some(race) = &mut self.race else {
                self.start().await?;
                continue;
            };
            match poll_fn(|context| race.poll_step(context)).await {
                Step::Event(Event::Started { .. }) if self.has_started => {}
                Step::Event(event) => return Ok(self.tell(event)),
                Step::Lost(connection, contact) => self.attempts.lost_one(connection, contact),
                Step::Failed(connection, failure) => self.go_on(connection, failure).await?,
                Step::Slow => self.hedge(),
            }
        }
    }

    /// Whether `delta` is a piece of a token whose id comes with a later piece: all of them left
    /// the worker together, so that none is late for being held.
    fn awaits_id(&self, delta: &Delta) -> bool {
        let may_wait = self.progress.awaits_id(delta) && self.held.len() < MAX_HELD;
        may_wait && self.deployment().is_some_and(tells_ids)
    }

    /// The event as the caller gets it.
    fn tell(&mut self, event: Event) -> Event {
        match event {
            Event::Started {
                prompt_tokens,
                cached_tokens,
                fingerprint,
                ..
            } => {
                self.has_started = true;
                let choice = self.observation.as_ref().map(|observed| &observed.choice);
                Event::Started {
                    prompt_tokens,
                    cached_tokens,
                    fingerprint,
                    route: choice.map(|choice| Box::new(choice.route.clone())),
                }
            }
            event => event,
        }
    }

    fn keep(&mut self, delta: &mut Delta) {
        self.progress.note(delta, &mut self.request);
        let place = self.race.as_ref().and_then(|race| race.attempt().place());
        if let Some(place) = place {
            self.attempts.progressed(place.deployment());
        }
    }

    /// What the events come from.
    fn deployment(&self) -> Option<&Deployment> {
        let place = self.race.as_ref()?.attempt().place()?;
        Some(place.deployment())
    }

    /// Asks a worker; of the fallback, if there is none to be asked and nothing was said yet.
    async fn start(&mut self) -> Result<(), PublicError> {
        loop {
            match self.attempts.place().await {
                Ok(place) => {
                    self.held.clear();
                    let attempt = self.attempt(place);
                    let may_be_slow = self.progress == Progress::Nothing && self.is_hedged();
                    let first_tokens = &self.attempts.target().first_tokens;
                    let patience = may_be_slow.then(|| first_tokens.p95()).flatten();
                    self.race = Some(Race::new(attempt, patience));
                    return Ok(());
                }
                Err(error) => self.fall_back(error)?,
            }
        }
    }

    fn is_hedged(&self) -> bool {
        let observation = self.observation.as_ref();
        observation.is_some_and(|observation| observation.choice.hedging)
    }

    fn attempt(&self, place: Place) -> Attempt {
        Attempt::new(
            place,
            self.attempts.target().clone(),
            self.dispatch.limits,
            self.request.clone(),
            self.context.clone(),
        )
    }

    /// The attempt is slower than most are.
    fn hedge(&mut self) {
        let Some(race) = &self.race else {
            return;
        };
        let Some(place) = self.attempts.another(race.attempt().connection()) else {
            return;
        };
        if !self.dispatch.hedges.withdraw() {
            return;
        }
        let attempt = self.attempt(place);
        let model = self.attempts.target().name.to_string();
        ::metrics::counter!(metrics::HEDGES_TOTAL, "model" => model).increment(1);
        if let Some(race) = &mut self.race {
            race.second(attempt);
        }
    }

    /// Has another worker begin, or go on after the tokens that came.
    async fn go_on(
        &mut self,
        connection: Arc<Connection>,
        failure: Failure,
    ) -> Result<(), PublicError> {
        self.race = None;
        if !self.progress.can_move() {
            return Err(failure.error);
        }
        self.attempts.failed(connection, failure).await?;
        if self.progress == Progress::Tokens {
            let model = self.attempts.target().name.to_string();
            ::metrics::counter!(metrics::CONTINUATIONS_TOTAL, "model" => model).increment(1);
        }
        Ok(())
    }

    /// Goes over to the model that answers in place of this one, once.
    fn fall_back(&mut self, error: Error) -> Result<(), PublicError> {
        let is_out = matches!(error, Error::NoWorker { .. } | Error::AllOut { .. });
        let Some(observation) = &mut self.observation else {
            return Err(error.into());
        };
        let fallback = observation.choice.fallback.take();
        let Some(fallback) = fallback.filter(|_| is_out && !self.has_started) else {
            return Err(error.into());
        };
        let models = &self.dispatch.models;
        let Ok(choice) = models.choose(&fallback, Some(&self.asked.sampling), &self.context) else {
            return Err(error.into());
        };
        let model = observation.choice.route.model.to_string();
        ::metrics::counter!(metrics::FALLBACKS_TOTAL, "model" => model).increment(1);
        observation.fell_back(Choice {
            fallback: None,
            ..choice
        });
        self.asked.apply(&observation.choice, &mut self.request);
        let target = self.dispatch.targets.get(&observation.choice.target);
        let prefixes = self.dispatch.prefixes(&self.request.prompt);
        self.attempts = Attempts::new(&self.dispatch, target, &self.context, prefixes);
        Ok(())
    }
}

/// Whether an engine tells the ids of its tokens; other servers tell none, and whatever they say
/// is passed on at once.
fn tells_ids(deployment: &Deployment) -> bool {
    deployment.backend != "upstream"
}

impl Asked {
    /// Makes `request` one for the workers of `choice`.
    fn apply(&self, choice: &Choice, request: &mut GenerateRequest) {
        let allowed = choice.context_length;
        request.model = choice.target.clone();
        request.context_length = Some(self.context_length.map_or(allowed, |own| own.min(allowed)));
        request.sampling = self.sampling.or(&choice.parameters);
    }
}
