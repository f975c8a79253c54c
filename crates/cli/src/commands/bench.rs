//! `sysforge bench`: what a user waits for, with and without the image, as a table, JSON, a chart
//! and a page.

use sysforge_engine::benchmark::Benchmark;
use sysforge_engine::paths::absolute;
use sysforge_engine::steps::require_image;
use sysforge_report::comparison::Comparison;

use crate::args::BenchArgs;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(args: &BenchArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let benchmark = Benchmark {
        samples: args.samples,
        svg: args.svg.as_deref().map(absolute),
        html: args.html.as_deref().map(absolute),
    };
    benchmark.check_files()?;
    require_image(args.image.image.as_deref())?;
    let planned = session.plan(&args.image.select).await?;
    benchmark.check_builds(&planned)?;
    planned.require_images(args.image.image.as_deref(), &session.engine)?;
    let mut runners = Vec::new();
    for build in &planned.plan.builds {
        let runner = session.open(&planned, build, &args.image.build).await?;
        let image = runner.existing_image(args.image.image.as_deref())?;
        runners.push((runner, image));
    }
    for (mut runner, image) in runners {
        let measuring = benchmark.run(&mut runner, &planned, &image, &session.engine);
        let report = measuring.await?;
        for file in benchmark.files() {
            session.terminal.say(&format!("wrote {}", file.display()));
        }
        let text = report.table();
        if session.global.json {
            session.terminal.json(&Comparison::of(&report));
            session.terminal.say(&text);
        } else {
            session.terminal.data(&text);
        }
    }
    Ok(())
}
