use pathlock::locked;

#[locked("job", timeout = "-1s")]
fn negative() {}

#[locked("job", timeout = "5 parsecs")]
fn not_a_time() {}

#[locked("job", timeout = "9999999999999999999h")]
fn too_long() {}

#[locked("job", timeout = 5)]
fn not_a_string() {}

fn main() {}
