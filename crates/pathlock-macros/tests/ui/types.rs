use pathlock::locked;

#[locked("job")]
fn error_that_cannot_hold_a_lock_error() -> Result<u8, std::num::ParseIntError> {
    "5".parse()
}

#[locked("job")]
fn body_of_another_type() -> u8 {
    "5"
}

fn main() {}
