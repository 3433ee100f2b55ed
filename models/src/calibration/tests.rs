use super::*;

#[test]
fn the_prior_widens_with_extrapolation_and_has_order() {
    let prior = Calibration::prior();
    let width = |e: f64| prior.log_error(e, 0.95) - prior.log_error(e, 0.05);
    assert!(width(0.5) < width(2.0) && width(2.0) < width(6.0) && width(6.0) < width(30.0));
    assert!(prior.log_error(1.0, 0.9).exp() < 1.6);
    assert!(!prior.supports(0.9, 1.0));
}
