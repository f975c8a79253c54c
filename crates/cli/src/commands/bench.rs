//! `sysforge bench`: what a user waits for, with and without the image.

use serde::Serialize;
use sysforge_build::check::{self, Measured};
use sysforge_plan::receipt::Latency;

use crate::args::BenchArgs;
use crate::commands::steps::image_of;
use crate::failure::Outcome;
use crate::pipeline::{self, Forge};
use crate::session::Session;
use crate::terminal::table;

/// Latency with and without an image, for `--json`: the median over the samples.
#[derive(Serialize)]
struct Comparison {
    build_id: String,
    samples: u32,
    without: Latency,
    with: Latency,
    first_over_second: f64,
    first_call_speedup: f64,
    residual_statements: usize,
}

pub(crate) async fn run(args: &BenchArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = pipeline::plan(session, &args.image.select).await?;
    for build in &planned.plan.builds {
        let mut forge = Forge::open(session, &planned, build, &args.image.driving).await?;
        let image = image_of(&args.image, &forge)?;
        let workloads = forge.workloads();
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..args.samples {
            let packages = &planned.plan.packages;
            without.push(check::measure(&forge.context, None, packages, &workloads).await?);
            with.push(check::measure(&forge.context, Some(&image), packages, &workloads).await?);
        }
        let residuals = forge.residuals(&image).await?;
        let (without, with) = (median(&without), median(&with));
        let comparison = Comparison {
            build_id: build.id.to_string(),
            samples: args.samples,
            without,
            with,
            first_over_second: with.first_call_s / with.second_call_s.max(1e-9),
            first_call_speedup: without.first_call_s / with.first_call_s.max(1e-9),
            residual_statements: residuals.len(),
        };
        if session.global.json {
            session.terminal.json(&comparison);
            session.terminal.say(&text(&comparison));
        } else {
            session.terminal.data(&text(&comparison));
        }
    }
    Ok(())
}

/// The median of each figure over the samples.
fn median(samples: &[Measured]) -> Latency {
    let of = |figure: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Latency {
        load_s: of(|m| m.load_s),
        first_call_s: of(|m| m.calls_s.unwrap_or_default().0),
        second_call_s: of(|m| m.calls_s.unwrap_or_default().1),
    }
}

fn text(comparison: &Comparison) -> String {
    let Comparison { without, with, .. } = comparison;
    let row = |name: &str, cells: [String; 4]| {
        std::iter::once(name.to_owned())
            .chain(cells)
            .collect::<Vec<_>>()
    };
    let latency = |name: &str, l: &Latency| {
        let ratio = format!("{:.1}", l.first_call_s / l.second_call_s.max(1e-9));
        row(
            name,
            [
                duration(l.load_s),
                duration(l.first_call_s),
                duration(l.second_call_s),
                ratio,
            ],
        )
    };
    let head = ["load", "first call", "second call", "first ÷ second"].map(str::to_owned);
    table(&[
        row("", head),
        latency("without the image", without),
        latency("with the image", with),
    ])
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.2} ms", s * 1e3),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up() {
        let comparison = Comparison {
            build_id: "x".to_owned(),
            samples: 3,
            without: Latency {
                load_s: 0.39,
                first_call_s: 6.5,
                second_call_s: 0.015,
            },
            with: Latency {
                load_s: 0.0005,
                first_call_s: 0.018,
                second_call_s: 0.0156,
            },
            first_over_second: 1.15,
            first_call_speedup: 361.0,
            residual_statements: 0,
        };
        insta::assert_snapshot!(text(&comparison), @r"
                               load  first call  second call  first ÷ second
        without the image  390.0 ms      6.50 s      15.0 ms           433.3
        with the image      0.50 ms     18.0 ms      15.6 ms             1.2
        ");
    }
}
