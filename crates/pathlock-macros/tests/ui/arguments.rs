use pathlock::locked;

#[locked]
fn no_path() {}

#[locked(timeout = "5s")]
fn options_only() {}

#[locked(5)]
fn a_number_for_a_path() {}

#[locked("job", wait = "5s")]
fn unknown_key() {}

#[locked("job", timeout = "5s", timeout = "6s")]
fn key_twice() {}

#[locked("job" timeout = "5s")]
fn no_comma() {}

#[locked("job", timeout)]
fn no_value() {}

fn main() {}
