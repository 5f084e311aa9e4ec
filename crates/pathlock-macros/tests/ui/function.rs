use pathlock::locked;

#[locked("job")]
const fn constant() {}

#[locked("job")]
extern "C" fn foreign() {}

#[locked("job")]
fn endless() -> ! {
    loop {}
}

trait Job {
    #[locked("job")]
    fn run(&self);
}

#[locked("job")]
struct NotAFunction;

fn main() {}
