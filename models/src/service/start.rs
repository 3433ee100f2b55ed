//! What the start of a database that was never stopped tells of one after a clean stop.
//!
//! It finds the same files on the same kind of volumes and replays its log besides. Where the database's log did not
//! tell how long that took, assumed is as much again, give or take. The measured start, brought down so, and the belief
//! before it are both normal in the logarithm, and their precisions add (Gelman et al., Bayesian Data Analysis,
//! 2.5).

use super::ServiceModel;
use crate::observation::ServiceStep;

/// Times longer than a clean start: assumed, with its log spread.
const REPLAY_FACTOR: f64 = 2.0;
const REPLAY_SPREAD: f64 = 0.5;
/// Standard deviation of Student's t with 4 degrees of freedom.
const STUDENT4_DEVIATION: f64 = std::f64::consts::SQRT_2;

/// The belief in the start of the database, after one that replayed its log took so long.
pub fn after_unclean_start(services: &mut [ServiceModel], seconds: f64) {
    let mut services = services.iter_mut();
    let recovery = services.find(|model| model.step == ServiceStep::Recovery);
    let Some(model) = recovery.filter(|_| seconds.is_finite() && seconds > 0.0) else {
        return;
    };
    let told = (seconds / REPLAY_FACTOR).ln();
    let told_precision = REPLAY_SPREAD
        .hypot(model.scatter * STUDENT4_DEVIATION)
        .powi(-2);
    let precision = model.log_overhead_spread.max(1e-6).powi(-2);
    let sum = precision + told_precision;
    model.log_overhead = (model.log_overhead * precision + told * told_precision) / sum;
    model.log_overhead_spread = sum.powf(-0.5);
    model.points += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::priors;

    fn after(seconds: f64) -> (ServiceModel, ServiceModel) {
        let mut services = priors();
        after_unclean_start(&mut services, seconds);
        let recovery = |services: Vec<ServiceModel>| {
            let mut all = services.into_iter();
            all.find(|model| model.step == ServiceStep::Recovery)
                .expect("a prior of every step")
        };
        (recovery(priors()), recovery(services))
    }

    #[test]
    fn a_measured_start_moves_and_narrows_the_belief() {
        let (before, slow) = after(600.0);
        let (_, fast) = after(6.0);
        assert!(fast.log_overhead < before.log_overhead && before.log_overhead < slow.log_overhead);
        assert!(slow.log_overhead < 600.0_f64.ln());
        assert!(slow.log_overhead_spread < 0.7 * before.log_overhead_spread);
    }

    #[test]
    fn what_is_no_duration_teaches_nothing() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (before, same) = after(seconds);
            assert_eq!(before, same);
        }
    }
}
