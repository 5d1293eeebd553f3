//! The black-box tests.

mod readme;
