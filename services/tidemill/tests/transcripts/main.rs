//! The documents run as written: every command and program of the README against one instance, the shape of every JSON
//! answer, and every exit code. Beside it, an instance with personal columns, of which no command and no file tells values.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod fences;
#[expect(clippy::panic, unreachable_pub, dead_code, reason = "the test of the console needs more of it")]
#[path = "../console/http.rs"]
mod http;
mod instance;
mod persons;
mod readme;
mod shapes;

#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../../tests/src/python.rs"]
mod python;

use instance::Instance;

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_runs_as_written_and_every_answer_keeps_its_shape() {
    let mut instance = Instance::new();
    readme::commands_run_as_written(&mut instance).await;
    readme::programs_run_as_written(&instance).await;
    answers::keep_their_shape(&instance).await;
    answers::exit_codes_say_what_happened(&instance);
    answers::the_instance_ends_in_good_order(&mut instance).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_personal_columns_stand_nowhere_outside_the_rows() {
    persons::are_named_nowhere_outside_the_rows().await;
}
