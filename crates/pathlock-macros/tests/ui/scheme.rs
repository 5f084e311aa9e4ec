use pathlock::locked;

#[locked("job", scheme = "mkdirs")]
fn unknown() {}

#[locked("job", scheme = MKDIR)]
fn not_a_string() {}

fn main() {}
