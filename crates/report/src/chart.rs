//! The chart: the time until the first result, each wait on a logarithmic scale, and memory.
//! Circles mean without the image and diamonds with it, so that they differ without colour.

use maud::{Markup, PreEscaped, html};
use sysforge_plan::text::escaped_lines;

use crate::{Figures, Report};
use sysforge_plan::units::{bytes, duration, ratio};

/// The width of the chart on a page or as a picture.
pub(crate) const WIDE: f64 = 720.0;
pub(crate) const NARROW: f64 = 360.0;

pub(crate) const STYLE: &str = concat!(include_str!("palette.css"), include_str!("chart.css"));

/// Returns the chart as a separate file.
pub fn svg(report: &Report) -> String {
    let mut text = escaped_lines(&chart(report, WIDE, true).into_string()).into_owned();
    text.push('\n');
    text
}

/// Returns the chart, alone or as part of a page.
pub(crate) fn chart(report: &Report, width: f64, alone: bool) -> Markup {
    let without = Figures::median(&report.without);
    let with = Figures::median(&report.with);
    let mut sheet = Drawing::new(width);
    sheet.title(&report.build_id, result(&without, &with));
    sheet.legend();
    sheet.bars(
        if sheet.names_above() {
            "Until the first result"
        } else {
            "Until the first result: start-up, loading, first call"
        },
        (without.first_result_s(), with.first_result_s()),
        duration,
    );
    sheet.waits(report, &without, &with);
    sheet.bars(
        "Resident memory, at most",
        (without.peak_memory as f64, with.peak_memory as f64),
        |value| bytes(value as u64),
    );
    let height = sheet.y + MARGIN;
    let label = format!(
        "{}: the first result takes {} without the image and {} with it",
        report.build_id,
        duration(without.first_result_s()),
        duration(with.first_result_s())
    );
    html! {
        svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" aria-label=(label)
            viewBox={ "0 0 " (n(width)) " " (n(height)) }
            width=[alone.then(|| n(width))] height=[alone.then(|| n(height))]
        {
            @if alone {
                title { (label) }
                style { (PreEscaped(STYLE)) }
                rect class="sheet" width=(n(width)) height=(n(height)) rx="8" {}
            }
            @for part in &sheet.parts { (part) }
        }
    }
}

/// Formats the result in a few words.
fn result(without: &Figures, with: &Figures) -> Option<String> {
    let (slow, fast) = without.first_call_s.zip(with.first_call_s)?;
    Some(faster(slow, fast))
}

fn faster(slow: f64, fast: f64) -> String {
    format!("first call {} × faster", ratio(slow / fast.max(1e-9)))
}

/// Formats a coordinate, with one decimal.
fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A drawing that grows from top to bottom.
struct Drawing {
    width: f64,
    y: f64,
    parts: Vec<Markup>,
}

const MARGIN: f64 = 16.0;
/// Space for a figure next to a mark or bar.
const FIGURE: f64 = 74.0;

impl Drawing {
    fn new(width: f64) -> Self {
        Self {
            width,
            y: MARGIN,
            parts: Vec::new(),
        }
    }

    /// Returns the left edge of rows: right of their names, or on a narrow drawing the left margin.
    fn left(&self) -> f64 {
        if self.width < 600.0 { MARGIN } else { 164.0 }
    }

    fn names_above(&self) -> bool {
        self.left() <= MARGIN
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        self.parts.push(html! {
            text x=(n(x)) y=(n(y)) class=[(!class.is_empty()).then_some(class)] text-anchor=(anchor) { (text) }
        });
    }

    /// Draws a median: a circle without the image, a diamond with it.
    fn mark(&mut self, x: f64, y: f64, series: Series) {
        let class = format!("mark {}", series.class());
        self.shape(x, y, series, &class, 7.0);
    }

    /// Draws a single run, in the shape of its series.
    fn run(&mut self, x: f64, y: f64, series: Series) {
        let class = format!("{} one", series.class());
        self.shape(x, y, series, &class, 4.0);
    }

    fn shape(&mut self, x: f64, y: f64, series: Series, class: &str, radius: f64) {
        self.parts.push(match series {
            Series::Without => {
                html! { circle class=(class) cx=(n(x)) cy=(n(y)) r=(n(radius)) {} }
            }
            Series::With => {
                // It looks as large as the circle.
                let r = radius * 9.0 / 7.0;
                let points = [(0.0, -r), (r, 0.0), (0.0, r), (-r, 0.0)]
                    .map(|(dx, dy)| format!("{},{}", n(x + dx), n(y + dy)))
                    .join(" ");
                html! { polygon class=(class) points=(points) {} }
            }
        });
    }

    /// Draws the subject of the chart and its result, below each other on a narrow drawing.
    fn title(&mut self, subject: &str, result: Option<String>) {
        let (first, second) = match result {
            Some(result) if self.names_above() => (result, Some(subject)),
            Some(result) => (format!("{subject}: {result}"), None),
            None => (subject.to_owned(), None),
        };
        self.text(MARGIN, self.y + 12.0, "title", "start", &first);
        self.y += 28.0;
        if let Some(second) = second {
            self.text(MARGIN, self.y + 2.0, "soft", "start", second);
            self.y += 14.0;
        }
    }

    fn legend(&mut self) {
        const RUNS: &str = "large: the median; small: each run";
        let y = self.y + 10.0;
        let second = MARGIN + 168.0;
        self.mark(MARGIN + 9.0, y, Series::Without);
        self.text(MARGIN + 24.0, y + 5.0, "", "start", Series::Without.name());
        self.mark(second + 9.0, y, Series::With);
        self.text(second + 24.0, y + 5.0, "", "start", Series::With.name());
        self.y += 30.0;
        if self.names_above() {
            self.text(MARGIN, self.y + 8.0, "soft", "start", RUNS);
            self.y += 14.0;
        } else {
            self.text(self.width - MARGIN, y + 5.0, "soft", "end", RUNS);
        }
    }

    fn heading(&mut self, text: &str) {
        self.y += 28.0;
        self.text(MARGIN, self.y, "head", "start", text);
        self.y += 14.0;
    }

    /// Draws the name of a row; returns the vertical centre of the row.
    fn row(&mut self, name: &str) -> f64 {
        if self.names_above() {
            self.text(MARGIN, self.y + 14.0, "soft", "start", name);
            self.y += 42.0;
            self.y - 12.0
        } else {
            self.text(self.left() - 16.0, self.y + 19.0, "", "end", name);
            self.y += 28.0;
            self.y - 14.0
        }
    }

    /// Draws two bars from zero.
    fn bars(&mut self, heading: &str, (without, with): (f64, f64), figure: fn(f64) -> String) {
        self.heading(heading);
        let most = without.max(with).max(f64::MIN_POSITIVE);
        let room = self.width - MARGIN - FIGURE - self.left();
        for (series, value) in [(Series::Without, without), (Series::With, with)] {
            let middle = self.row(series.name());
            let (x, long) = (self.left(), (room * value / most).max(1.0));
            self.parts.push(html! {
                rect class=(series.class()) x=(n(x)) y=(n(middle - 8.0)) width=(n(long)) height="16" rx="2" {}
            });
            self.text(x + long + 8.0, middle + 5.0, "", "start", &figure(value));
        }
    }

    /// Draws each wait as two marks on a logarithmic scale, with all samples behind them.
    fn waits(&mut self, report: &Report, without: &Figures, with: &Figures) {
        let waits = [
            ("start-up", Wait::StartUp),
            ("loading", Wait::Load),
            ("first call", Wait::First),
            ("second call", Wait::Second),
        ];
        let rows: Vec<_> = waits
            .into_iter()
            .filter_map(|(name, wait)| Some((name, wait, wait.of(without)?, wait.of(with)?)))
            .collect();
        let samples = || report.without.iter().chain(&report.with);
        let all = rows.iter().flat_map(|(_, wait, ..)| {
            samples().filter_map(|sample| wait.of(&Figures::median(&[*sample])))
        });
        let scale = Scale::over(all, self.left() + FIGURE, self.width - MARGIN - FIGURE);
        self.heading("Each wait (logarithmic scale)");
        let top = self.y;
        let grid_at = self.parts.len();
        let mut figures = Vec::new();
        for (name, wait, slow, fast) in rows {
            let middle = self.row(name);
            let (a, b) = (scale.at(slow), scale.at(fast));
            self.parts.push(html! {
                line class="span" x1=(n(a)) y1=(n(middle)) x2=(n(b)) y2=(n(middle)) {}
            });
            let groups = [
                (Series::Without, &report.without),
                (Series::With, &report.with),
            ];
            let mut ends = (a.min(b), a.max(b));
            for (series, samples) in groups {
                let each = samples.iter().map(|sample| Figures::median(&[*sample]));
                for x in each.filter_map(|one| wait.of(&one)).map(|s| scale.at(s)) {
                    ends = (ends.0.min(x), ends.1.max(x));
                    self.run(x, middle, series);
                }
            }
            self.mark(a, middle, Series::Without);
            self.mark(b, middle, Series::With);
            // Figures are outside of all marks, so that nothing overlaps.
            let (left, right) = if a < b { (slow, fast) } else { (fast, slow) };
            let (left, right) = (duration(left), duration(right));
            self.text(ends.0 - 14.0, middle + 5.0, "", "end", &left);
            self.text(ends.1 + 14.0, middle + 5.0, "", "start", &right);
            figures.push((middle, ends.0 - 14.0 - text_width(&left), ends.0 - 14.0));
            figures.push((middle, ends.1 + 14.0, ends.1 + 14.0 + text_width(&right)));
        }
        let bottom = self.y + 4.0;
        let ticks: Vec<_> = scale.decades().collect();
        // Labels of ticks need about 50 units each; if ticks are closer, only every other one has a
        // label.
        let close = ticks.windows(2).any(|pair| pair[1].0 - pair[0].0 < 50.0);
        for (index, (at, name)) in ticks.iter().enumerate() {
            for (from, to) in beside(*at, (top, bottom), &figures) {
                self.parts.insert(
                    grid_at,
                    html! { line class="grid" x1=(n(*at)) y1=(n(from)) x2=(n(*at)) y2=(n(to)) {} },
                );
            }
            if !close || index % 2 == 0 {
                self.text(*at, bottom + 15.0, "soft", "middle", name);
            }
        }
        self.y = bottom + 20.0;
        if let (Some(slow), Some(fast)) = (without.first_call_s, with.first_call_s) {
            let faster = faster(slow, fast);
            let text = match with.first_over_second() {
                Some(over) => {
                    let over = ratio(over);
                    format!("{faster}; with the image, first ÷ second call is {over}")
                }
                None => faster,
            };
            if !self.names_above() {
                self.y += 16.0;
                self.text(self.width - MARGIN, self.y, "soft", "end", &text);
            }
        }
    }
}

/// Returns the approximate width of a figure.
fn text_width(text: &str) -> f64 {
    8.0 * text.chars().count() as f64
}

/// Returns the parts of a vertical line that cross no figure. Each figure is given by the vertical
/// centre of its row, its left and its right edge.
fn beside(x: f64, (top, bottom): (f64, f64), figures: &[(f64, f64, f64)]) -> Vec<(f64, f64)> {
    const SPACE: f64 = 3.0;
    const HALF: f64 = 10.0;
    let mut parts = Vec::new();
    let mut from = top;
    for (middle, left, right) in figures {
        if (left - SPACE..right + SPACE).contains(&x) {
            if middle - HALF > from {
                parts.push((from, middle - HALF));
            }
            from = from.max(middle + HALF);
        }
    }
    if bottom > from {
        parts.push((from, bottom));
    }
    parts
}

#[derive(Clone, Copy)]
enum Series {
    Without,
    With,
}

impl Series {
    const fn name(self) -> &'static str {
        match self {
            Self::Without => "without the image",
            Self::With => "with the image",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Without => "without",
            Self::With => "with",
        }
    }
}

#[derive(Clone, Copy)]
enum Wait {
    StartUp,
    Load,
    First,
    Second,
}

impl Wait {
    const fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::StartUp => Some(figures.startup_s),
            Self::Load => Some(figures.load_s),
            Self::First => figures.first_call_s,
            Self::Second => figures.second_call_s,
        }
    }
}

/// A logarithmic scale over whole decades.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// The lower limit of the scale in seconds; no measurement is shorter.
const SHORTEST: f64 = 1e-6;

impl Scale {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values
            .map(|value| value.max(SHORTEST).log10())
            .fold((f64::MAX, f64::MIN), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        let (low, high) = if low > high { (-3.0, 0.0) } else { (low, high) };
        let low = low.floor();
        let high = high.ceil().max(low + 1.0);
        Self {
            low,
            high,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.max(SHORTEST).log10() - self.low) / (self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    fn decades(&self) -> impl Iterator<Item = (f64, String)> {
        let mut decades = Vec::new();
        let mut power = self.low;
        while power <= self.high {
            let value = 10_f64.powf(power);
            let name = match value {
                v if v < 0.000_5 => format!("{:.0} µs", v * 1e6),
                v if v < 0.5 => format!("{:.0} ms", v * 1e3),
                v => format!("{v:.0} s"),
            };
            decades.push((self.at(value), name));
            power += 1.0;
        }
        decades.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_goes_through_a_figure() {
        let figures = [(50.0, 100.0, 140.0), (80.0, 200.0, 240.0)];
        assert_eq!(beside(300.0, (0.0, 100.0), &figures), [(0.0, 100.0)]);
        assert_eq!(
            beside(120.0, (0.0, 100.0), &figures),
            [(0.0, 40.0), (60.0, 100.0)]
        );
        assert_eq!(beside(98.0, (0.0, 60.0), &figures), [(0.0, 40.0)]);
    }
}
