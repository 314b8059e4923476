//! Reading and showing the configuration members of a job.
//!
//! Source of every range: service model `iot`, `CreateJobRequest`.

use serde_json::{Value, json};

use super::job_config::{
    AbortCriterion, ExponentialRate, FailureType, RateCriterion, RetryCriterion, Rollout,
};
use super::rollout::RATE_MAX;
use super::validate::{Invalid, Members, TIMEOUT_MAX_MINUTES};

/// Most retry criteria in one job.
const RETRY_CRITERIA_MAX: usize = 2;
/// Most retries per thing, over all criteria.
const RETRIES_MAX: u32 = 10;

/// `timeoutConfig.inProgressTimeoutInMinutes`, in minutes.
pub(crate) fn in_progress_timeout(members: Members<'_>) -> Result<Option<u64>, Invalid> {
    match members.object("timeoutConfig")? {
        None => Ok(None),
        Some(config) => config.bounded("inProgressTimeoutInMinutes", 1, TIMEOUT_MAX_MINUTES),
    }
}

/// `jobExecutionsRetryConfig`; `None` if the member is absent.
pub(crate) fn retry(members: Members<'_>) -> Result<Option<Vec<RetryCriterion>>, Invalid> {
    let Some(config) = members.object("jobExecutionsRetryConfig")? else {
        return Ok(None);
    };
    let list = Members::required("criteriaList", config.objects("criteriaList")?)?;
    if list.is_empty() || list.len() > RETRY_CRITERIA_MAX {
        return Err(Invalid(format!(
            "'jobExecutionsRetryConfig' needs 1 to {RETRY_CRITERIA_MAX} criteria"
        )));
    }
    let mut criteria = Vec::new();
    for item in list {
        let failure = failure_type(item)?;
        if failure == FailureType::Rejected {
            return Err(Invalid("REJECTED executions cannot be retried".into()));
        }
        let retries = item.bounded("numberOfRetries", 0, u64::from(RETRIES_MAX))?;
        let retries = Members::required("numberOfRetries", retries)?;
        criteria.push(RetryCriterion {
            failure,
            retries: u32::try_from(retries).unwrap_or(RETRIES_MAX),
        });
    }
    if criteria
        .iter()
        .map(|criterion| criterion.retries)
        .sum::<u32>()
        > RETRIES_MAX
    {
        return Err(Invalid(format!(
            "all criteria together allow {RETRIES_MAX} retries"
        )));
    }
    Ok(Some(criteria))
}

/// `abortConfig`; `None` if the member is absent.
pub(crate) fn abort(members: Members<'_>) -> Result<Option<Vec<AbortCriterion>>, Invalid> {
    let Some(config) = members.object("abortConfig")? else {
        return Ok(None);
    };
    let list = Members::required("criteriaList", config.objects("criteriaList")?)?;
    if list.is_empty() {
        return Err(Invalid("'abortConfig' needs at least one criterion".into()));
    }
    let mut criteria = Vec::new();
    for item in list {
        if Members::required("action", item.text("action")?)? != "CANCEL" {
            return Err(Invalid("'action' must be CANCEL".into()));
        }
        let threshold =
            Members::required("thresholdPercentage", item.value("thresholdPercentage"))?;
        let threshold_basis_points = scaled(threshold, 100.0)
            .filter(|points| *points <= 10_000)
            .ok_or_else(|| {
                Invalid("'thresholdPercentage' must be 0 to 100 with at most two decimals".into())
            })?;
        let min_executed = item.bounded("minNumberOfExecutedThings", 1, u64::MAX)?;
        criteria.push(AbortCriterion {
            failure: failure_type(item)?,
            threshold_basis_points,
            min_executed: Members::required("minNumberOfExecutedThings", min_executed)?,
        });
    }
    Ok(Some(criteria))
}

/// `jobExecutionsRolloutConfig`; `None` if the member is absent.
pub(crate) fn rollout(members: Members<'_>) -> Result<Option<Rollout>, Invalid> {
    let Some(config) = members.object("jobExecutionsRolloutConfig")? else {
        return Ok(None);
    };
    let exponential = match config.object("exponentialRate")? {
        None => None,
        Some(rate) => Some(exponential_rate(rate)?),
    };
    Ok(Some(Rollout {
        maximum_per_minute: config.bounded("maximumPerMinute", 1, RATE_MAX)?,
        exponential,
    }))
}

fn exponential_rate(rate: Members<'_>) -> Result<ExponentialRate, Invalid> {
    let base = rate.bounded("baseRatePerMinute", 1, RATE_MAX)?;
    let factor = Members::required("incrementFactor", rate.value("incrementFactor"))?;
    let factor_tenths = scaled(factor, 10.0)
        .filter(|tenths| (11..=50).contains(tenths))
        .ok_or_else(|| Invalid("'incrementFactor' must be 1.1 to 5 with one decimal".into()))?;
    let criteria = rate.object("rateIncreaseCriteria")?;
    let criteria = Members::required("rateIncreaseCriteria", criteria)?;
    let notified = criteria.bounded("numberOfNotifiedThings", 1, u64::MAX)?;
    let succeeded = criteria.bounded("numberOfSucceededThings", 1, u64::MAX)?;
    let criterion = match (notified, succeeded) {
        (Some(things), None) => RateCriterion::Notified(things),
        (None, Some(things)) => RateCriterion::Succeeded(things),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Invalid(
                "'rateIncreaseCriteria' needs either numberOfNotifiedThings or \
                 numberOfSucceededThings"
                    .into(),
            ));
        }
    };
    Ok(ExponentialRate {
        base_per_minute: Members::required("baseRatePerMinute", base)?,
        factor_tenths,
        criterion,
    })
}

fn failure_type(item: Members<'_>) -> Result<FailureType, Invalid> {
    let name = Members::required("failureType", item.text("failureType")?)?;
    FailureType::from_name(name)
        .ok_or_else(|| Invalid(format!("'{name}' is no failure type of this member")))
}

/// A non-negative number times `scale`, if that is whole: decimals become integers that compare
/// exactly.
fn scaled(value: &Value, scale: f64) -> Option<u64> {
    let scaled = value.as_f64()? * scale;
    let whole = scaled.round();
    // Far above every range that is checked afterwards, and exact in a double.
    let in_range = (0.0..1e9).contains(&whole);
    (in_range && (scaled - whole).abs() < 1e-6).then_some(whole as u64)
}

fn unscaled(number: u64, scale: f64) -> f64 {
    number as f64 / scale
}

pub(crate) fn retry_json(criteria: &[RetryCriterion]) -> Value {
    let list: Vec<Value> = criteria
        .iter()
        .map(|c| json!({"failureType": c.failure.as_str(), "numberOfRetries": c.retries}))
        .collect();
    json!({ "criteriaList": list })
}

pub(crate) fn abort_json(criteria: &[AbortCriterion]) -> Value {
    let list: Vec<Value> = criteria
        .iter()
        .map(|c| {
            json!({
                "failureType": c.failure.as_str(),
                "action": "CANCEL",
                "thresholdPercentage": unscaled(c.threshold_basis_points, 100.0),
                "minNumberOfExecutedThings": c.min_executed,
            })
        })
        .collect();
    json!({ "criteriaList": list })
}

pub(crate) fn rollout_json(rollout: &Rollout) -> Value {
    let mut config = json!({});
    if let Some(maximum) = rollout.maximum_per_minute {
        config["maximumPerMinute"] = json!(maximum);
    }
    if let Some(rate) = rollout.exponential {
        let criteria = match rate.criterion {
            RateCriterion::Notified(things) => json!({ "numberOfNotifiedThings": things }),
            RateCriterion::Succeeded(things) => json!({ "numberOfSucceededThings": things }),
        };
        config["exponentialRate"] = json!({
            "baseRatePerMinute": rate.base_per_minute,
            "incrementFactor": unscaled(rate.factor_tenths, 10.0),
            "rateIncreaseCriteria": criteria,
        });
    }
    config
}
