//! The report as JUnit's XML: a test case a script.
//! Absent: the file that it goes to.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Told, Verdict};
use crate::error::{Error, Result, Status};

/// All scripts of a run.
///
/// # Errors
/// Status 1: it cannot be written as XML.
pub fn report(all: &[Told], took: Duration) -> Result<String> {
    let mut suite = TestSuite::new("netkit run");
    suite.set_time(took);
    for told in all {
        let status = match &told.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::Failed(failure) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(failure.headline());
                status.set_type(if failure.status == Status::Timeout {
                    "timeout"
                } else {
                    "expectation"
                });
                status.set_description(failure.lines().join("\n"));
                status
            }
            Verdict::Interrupted => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message("interrupted");
                status
            }
        };
        let mut case = TestCase::new(told.name.as_str(), status);
        case.set_classname("netkit");
        case.set_time(told.took);
        suite.add_test_case(case);
    }
    let mut report = Report::new("netkit run");
    report.set_time(took);
    report.add_test_suite(suite);
    report
        .to_string()
        .map_err(|error| Error::new(Status::Failure, error.to_string()).on("could not write the report"))
}
