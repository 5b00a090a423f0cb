//! E-licences natively: the closed suite SM2 with SM3.

pub mod sm;
