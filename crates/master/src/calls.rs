//! Scheduler calls: who may make them, and to whom they go.

use meseta_model::caller::Caller;
use meseta_model::edge::{Outcome, Refusal, RefusalKind, RequestId};
use meseta_model::ids::FrameworkId;
use meseta_proto::mesos::v1::scheduler::Call;
use meseta_proto::mesos::v1::scheduler::call::Type;

use crate::frameworks::Connection;
use crate::master::Reign;
use crate::turn::Turn;
use crate::view::{Counter, FrameworkCounter};

/// What becomes of a call.
pub(crate) enum Handled {
    /// Answered 202 now; consequences come as events.
    Now,
    /// Answered when something is durable.
    Later,
}

impl Reign {
    /// Any call but SUBSCRIBE over HTTP.
    pub(crate) fn call_over_http(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        caller: &Caller,
        stream_id: Option<&str>,
        call: Call,
    ) {
        let handled = self
            .check_caller(caller, stream_id, &call)
            .and_then(|framework| self.call(turn, Some(request), caller, &framework, call));
        match handled {
            Ok(Handled::Now) => turn.reply(request, Outcome::Accepted),
            Ok(Handled::Later) => {}
            Err(refusal) => turn.refuse(request, refusal),
        }
    }

    /// Only the stream that is subscribed may call, in Mesos's order of checks (semantics 4 and 5).
    fn check_caller(
        &self,
        caller: &Caller,
        stream_id: Option<&str>,
        call: &Call,
    ) -> Result<FrameworkId, Refusal> {
        let unknown = || Refusal::invalid("Framework cannot be found");
        let id = call
            .framework_id
            .as_ref()
            .map(FrameworkId::from)
            .ok_or_else(unknown)?;
        let framework = self.frameworks.get(&id).ok_or_else(unknown)?;
        if let Some(principal) = &caller.principal
            && framework.info.principal.as_ref() != Some(principal)
        {
            return Err(Refusal::invalid(format!(
                "Authenticated principal '{principal}' does not match principal '{}' set in \
                 `FrameworkInfo`",
                framework.info.principal()
            )));
        }
        let subscribed = match &framework.connection {
            None => {
                return Err(Refusal::new(
                    RefusalKind::Forbidden,
                    "Framework is not subscribed",
                ));
            }
            Some(Connection::Driver(_)) => {
                let text = "Framework is not connected via HTTP";
                return Err(Refusal::new(RefusalKind::Forbidden, text));
            }
            Some(Connection::Stream(stream)) => stream,
        };
        match stream_id {
            None => Err(Refusal::invalid(
                "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
            )),
            Some(stream) if stream != &*subscribed.0 => Err(Refusal::invalid(format!(
                "The stream ID '{stream}' included in this request didn't match the stream ID \
                 currently associated with framework ID '{id}'"
            ))),
            Some(_) => Ok(id),
        }
    }

    /// A call that may be made. A part that its type needs and that is absent makes it do nothing: the
    /// edge has refused such calls.
    pub(crate) fn call(
        &mut self,
        turn: &mut Turn<'_>,
        request: Option<RequestId>,
        caller: &Caller,
        id: &FrameworkId,
        call: Call,
    ) -> Result<Handled, Refusal> {
        match call.r#type() {
            Type::Teardown => {
                self.teardown(turn, request, id);
                return Ok(Handled::Later);
            }
            Type::UpdateFramework => {
                let update = call
                    .update_framework
                    .ok_or_else(|| missing("update_framework"))?;
                self.update_framework(turn, request, caller, id, update)?;
                return Ok(Handled::Later);
            }
            Type::Accept => {
                let accept = call.accept.ok_or_else(|| missing("accept"))?;
                self.accept(turn, id, accept);
            }
            Type::Decline => {
                let decline = call.decline.ok_or_else(|| missing("decline"))?;
                turn.count(Counter::Message("decline_offers"));
                let declined = self.decline(turn, id, &decline.offer_ids, decline.filters.as_ref());
                turn.count_of(id, FrameworkCounter::OffersDeclined, declined);
            }
            Type::Revive => self.revive(turn, id, &call.revive.unwrap_or_default().roles),
            Type::Suppress => self.suppress(turn, id, &call.suppress.unwrap_or_default().roles),
            Type::Kill => self.kill(turn, id, call.kill.ok_or_else(|| missing("kill"))?),
            Type::Shutdown => {
                let shutdown = call.shutdown.ok_or_else(|| missing("shutdown"))?;
                self.shutdown_executor(turn, id, &shutdown);
            }
            Type::Acknowledge => {
                let acknowledge = call.acknowledge.ok_or_else(|| missing("acknowledge"))?;
                self.acknowledge(turn, id, acknowledge);
            }
            Type::Reconcile => {
                let reconcile = call.reconcile.ok_or_else(|| missing("reconcile"))?;
                self.reconcile(turn, id, &reconcile);
            }
            Type::ReconcileOperations => {
                let reconcile = call
                    .reconcile_operations
                    .ok_or_else(|| missing("reconcile_operations"))?;
                self.reconcile_operations(turn, id, &reconcile);
            }
            Type::Message => {
                let message = call.message.ok_or_else(|| missing("message"))?;
                self.message_to_executor(turn, id, message);
            }
            Type::Request => self.request(turn, id, &call.request.unwrap_or_default().requests),
            Type::AcknowledgeOperationStatus => {
                let field = "acknowledge_operation_status";
                let acknowledge = call.acknowledge_operation_status;
                let acknowledge = acknowledge.ok_or_else(|| missing(field))?;
                self.acknowledge_operation(turn, id, &acknowledge);
            }
            kind @ (Type::AcceptInverseOffers | Type::DeclineInverseOffers) => {
                return Err(not_yet(kind));
            }
            Type::Subscribe | Type::Unknown => return Err(missing("type")),
        }
        Ok(Handled::Now)
    }
}

fn missing(field: &str) -> Refusal {
    Refusal::invalid(format!("Expecting '{field}' to be present"))
}

fn not_yet(kind: Type) -> Refusal {
    let text = format!("{} comes in a later version of Meseta", kind.as_str_name());
    Refusal::new(RefusalKind::NotImplemented, text)
}
