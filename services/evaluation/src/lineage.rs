//! What a verdict was made of, for those who ask later.

use crate::Context;
use crate::error::EvaluationError;
use crate::judgement::Judgement;
use crate::promotion::now;
use tidemill_contracts::events::CandidateTrained;
use tidemill_lineage::{Change, Place, Step, names};
use tidemill_runtime::tell_lineage;
use tidemill_types::{Classified as _, Digest};

/// One judgement.
pub(crate) struct Run<'a> {
    context: &'a Context,
    model: &'a Digest,
    step: Step,
}

impl<'a> Run<'a> {
    /// Tells that it begins.
    pub(crate) async fn begin(context: &'a Context, fact: &CandidateTrained, model: &'a Digest) -> Self {
        let project = &context.spec.project;
        let step = Step::new(project, names::EVALUATION, model.as_str())
            .within(names::CYCLE, &fact.run_id)
            .owned_by(&context.spec.problem.owners)
            .reads(Place::new(names::model(model)))
            .reads(Place::new(fact.training_set.as_str()));
        tell_lineage(&context.bus, project, &[step.start(now())]).await;
        Self { context, model, step }
    }

    /// Tells how it ended. An attempt that will be repeated has not ended.
    pub(crate) async fn end(self, judged: &Result<Judgement, EvaluationError>) {
        let project = &self.context.spec.project;
        let event = match judged {
            Err(error) if error.is_transient() => return,
            Err(error) => self.step.fail(now(), &format!("{}: {error}", error.code())),
            Ok(_) => {
                let card = names::scorecard(project, self.model.as_str());
                let uri = format!("{}/{card}", self.context.storage.url());
                self.step.writes(Place::new(card).lying_at(uri).changed(Change::Create)).complete(now())
            }
        };
        tell_lineage(&self.context.bus, project, &[event]).await;
    }
}
