//! Who of the replicas speaks for all: a Lease of coordination.k8s.io, taken and renewed by compare-and-swap on its
//! resourceVersion, as client-go's leader election does. Only the status and events hang on it: requests are served
//! whoever leads.
//!
//! Clocks of different machines are never compared: a holder is lost when the Lease has not changed for its duration
//! on the own clock.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::source::cluster::causes;

/// The election's Lease, and who takes part in it.
#[derive(Clone, Debug)]
pub struct Election {
    pub namespace: String,
    /// `--election-id`.
    pub name: String,
    /// The Pod's name.
    pub identity: String,
    /// `--election-ttl`: how long a holder may be silent.
    pub ttl: Duration,
}

/// What is to be done about the Lease as it was read.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Create(LeaseSpec),
    Replace(LeaseSpec),
    /// Somebody else holds it.
    Wait,
}

/// What was seen of the Lease, and since when by the own clock.
#[derive(Debug, Default)]
struct Observed {
    version: Option<String>,
    since: Option<Instant>,
}

impl Election {
    /// Pure but for the time it is given: whether to take, renew or leave the Lease.
    fn step(&self, lease: Option<&Lease>, seen: &mut Observed, now: Instant, clock: MicroTime) -> Step {
        let Some(lease) = lease else { return Step::Create(self.held(None, clock)) };
        let version = lease.metadata.resource_version.clone();
        if seen.version != version || seen.since.is_none() {
            *seen = Observed { version, since: Some(now) };
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or("");
        if holder == self.identity {
            return Step::Replace(self.held(Some(spec), clock));
        }
        // A holder's own duration counts, as it may have been started with another.
        let ttl = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map_or(self.ttl, Duration::from_secs);
        let silent = seen.since.is_some_and(|since| now.saturating_duration_since(since) >= ttl);
        match holder.is_empty() || silent {
            true => Step::Replace(self.held(Some(spec), clock)),
            false => Step::Wait,
        }
    }

    /// The Lease as this replica holds it.
    fn held(&self, before: Option<LeaseSpec>, clock: MicroTime) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.ttl.as_secs().max(1)).unwrap_or(i32::MAX)),
            acquire_time: if ours { before.acquire_time } else { Some(clock.clone()) },
            renew_time: Some(clock),
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    /// Tries again this often; a third of the time is left for a slow API server.
    fn retry(&self) -> Duration {
        self.ttl / 4
    }

    /// After so long without a renewal this replica stops leading.
    fn deadline(&self) -> Duration {
        self.ttl * 2 / 3
    }

    /// Takes part until `ends`, then gives the Lease back. `leads` says whether this replica leads.
    pub async fn run(self, client: Client, leads: Arc<watch::Sender<bool>>, ends: CancellationToken) {
        let leases: Api<Lease> = Api::namespaced(client, &self.namespace);
        let mut seen = Observed::default();
        // When the Lease was asked for that is held: it is ours for its duration from then on, not from the answer.
        let mut renewed = None;
        while !ends.is_cancelled() {
            let asked = Instant::now();
            let turn = timeout(self.retry().max(Duration::from_secs(1)), self.once(&leases, &mut seen));
            match self.unless_late(renewed, &leads, turn).await {
                Ok(Ok(held)) => {
                    renewed = held.then_some(asked);
                    self.tell(&leads, held);
                }
                Ok(Err(error)) => {
                    tracing::debug!(error = causes(error), lease = self.name, "the lease cannot be read or written")
                }
                Err(_) => tracing::debug!(lease = self.name, "no answer about the lease"),
            }
            // Replicas that start together do not stay in step.
            let pause = sleep(self.retry().mul_f64(0.8 + 0.4 * jitter()));
            self.unless_late(renewed, &leads, ends.run_until_cancelled(pause)).await;
        }
        if *leads.borrow() {
            let _ = timeout(Duration::from_secs(5), self.release(&leases)).await;
            self.tell(&leads, false);
        }
    }

    /// Waits, but stops leading in time: somebody else may lead soon.
    async fn unless_late<T>(
        &self,
        renewed: Option<Instant>,
        leads: &watch::Sender<bool>,
        wait: impl Future<Output = T>,
    ) -> T {
        let mut wait = std::pin::pin!(wait);
        if let Some(renewed) = renewed {
            tokio::select! {
                biased;
                done = wait.as_mut() => return done,
                () = sleep_until(renewed + self.deadline()) => self.tell(leads, false),
            }
        }
        wait.await
    }

    fn tell(&self, leads: &watch::Sender<bool>, now: bool) {
        let changed = leads.send_if_modified(|leads| std::mem::replace(leads, now) != now);
        if changed {
            tracing::info!(lease = self.name, identity = self.identity, leads = now, "leader election");
        }
    }

    /// Whether the Lease is ours now. A conflict says that another was faster.
    async fn once(&self, leases: &Api<Lease>, seen: &mut Observed) -> kube::Result<bool> {
        let lease = leases.get_opt(&self.name).await?;
        let clock = MicroTime(k8s_openapi::jiff::Timestamp::now());
        let written = match self.step(lease.as_ref(), seen, Instant::now(), clock) {
            Step::Wait => return Ok(false),
            Step::Create(spec) => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                leases.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await
            }
            Step::Replace(spec) => {
                let lease = Lease { spec: Some(spec), ..lease.unwrap_or_default() };
                leases.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn release(&self, leases: &Api<Lease>) -> kube::Result<()> {
        let Some(mut lease) = leases.get_opt(&self.name).await? else { return Ok(()) };
        if let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity)) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            leases.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(identity: &str) -> Election {
        let (namespace, name) = ("ns".to_owned(), "leader".to_owned());
        Election { namespace, name, identity: identity.to_owned(), ttl: Duration::from_secs(30) }
    }

    fn lease(version: &str, spec: LeaseSpec) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    fn clock(second: i64) -> MicroTime {
        MicroTime(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn the_first_one_creates_it_and_renews_it() {
        let (a, mut seen) = (election("a"), Observed::default());
        let Step::Create(spec) = a.step(None, &mut seen, Instant::now(), clock(1)) else { panic!() };
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("a"), Some(1)));
        let Step::Replace(renewed) = a.step(Some(&lease("1", spec)), &mut seen, Instant::now(), clock(9)) else {
            panic!()
        };
        assert_eq!((renewed.acquire_time, renewed.renew_time), (Some(clock(1)), Some(clock(9))));
        assert_eq!(renewed.lease_transitions, Some(1));
    }

    #[test]
    fn another_takes_it_only_when_it_has_been_silent_for_its_duration() {
        let (b, mut seen) = (election("b"), Observed::default());
        let held = election("a").held(None, clock(0));
        let start = Instant::now();
        let rows = [
            (0, "1", false),
            (29, "1", false),
            // It was renewed: the time begins anew, whatever the clock in it says.
            (31, "2", false),
            (60, "2", false),
            (61, "2", true),
        ];
        for (second, version, taken) in rows {
            let now = start + Duration::from_secs(second);
            let step = b.step(Some(&lease(version, held.clone())), &mut seen, now, clock(0));
            assert_eq!(matches!(step, Step::Replace(_)), taken, "{second}");
        }
    }

    #[test]
    fn one_that_was_given_back_is_free_at_once() {
        let (b, mut seen) = (election("b"), Observed::default());
        let free = LeaseSpec { holder_identity: Some(String::new()), ..election("a").held(None, clock(0)) };
        assert!(matches!(b.step(Some(&lease("5", free)), &mut seen, Instant::now(), clock(0)), Step::Replace(_)));
    }
}
