//! Builds the images of a Julia project with the engine alone, without the command line:
//!
//! ```sh
//! cargo run --package sysforge-engine --example build -- PROJECT STORE [MIRROR]
//! ```

use sysforge_engine::{BuildOptions, BuildRunner, Engine, Environment, Location, Reporter, plan};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(project), Some(store)) = (arguments.next(), arguments.next()) else {
        return Err("usage: build PROJECT STORE [MIRROR]".into());
    };
    let environment = Environment::new(std::env::vars_os());
    let location = Location::in_folder(project);
    let mut engine = Engine::new(Some(store.into()), location, environment);
    engine.mirror = arguments.next();
    engine.reporter = Reporter::new(|event| eprintln!("{event:?}"));
    let planned = plan(&engine, &[], &[]).await?;
    let options = BuildOptions::default();
    for build in &planned.plan.builds {
        let mut runner = BuildRunner::open(&engine, &planned, build, &options).await?;
        let (packed, receipt) = runner.run(&planned.dist(), false).await?;
        let left = receipt.check.residuals.len();
        println!(
            "{}: {left} statements left to compile",
            packed.archive.display()
        );
    }
    Ok(())
}
