//! The percentiles of latencies as a drawing: one curve each, the tail as wide as the body.

use super::BenchError;
use super::report::Latencies;
use plotters::prelude::*;
use std::path::Path;

/// Pixels of the drawing.
const SIZE: (u32, u32) = (960, 600);
/// Points of a curve.
const POINTS: u32 = 400;
/// Colours of the curves, told apart by those who see no red and green too.
const COLOURS: [RGBColor; 3] = [RGBColor(0, 90, 181), RGBColor(220, 100, 0), RGBColor(90, 90, 90)];
const FONT: &str = "sans-serif";

/// Draws the latencies' percentiles into an SVG file.
///
/// The x axis grows by one for each further nine: p90 at 1, p99 at 2, p99.9 at 3. The y axis is logarithmic.
pub(super) fn percentiles(path: &Path, title: &str, curves: &[(&str, &Latencies)]) -> Result<(), BenchError> {
    let mut svg = String::new();
    draw(&mut svg, title, curves).map_err(|error| BenchError::Failed(format!("cannot draw: {error}")))?;
    std::fs::write(path, svg).map_err(|error| BenchError::Failed(format!("{}: {error}", path.display())))
}

fn draw(svg: &mut String, title: &str, curves: &[(&str, &Latencies)]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (low, high) = bounds(curves);
    let most = curves.iter().map(|(_, latencies)| nines(latencies.count())).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 22))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..most, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("percentile")
        .y_desc("latency in µs")
        .x_labels(6)
        .x_label_formatter(&|nines| percentile_name(*nines))
        .y_label_formatter(&|micros| format!("{micros:.0}"))
        .axis_desc_style((FONT, 16))
        .label_style((FONT, 14))
        .light_line_style(RGBColor(240, 240, 240))
        .draw()?;
    for ((name, latencies), colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let label = format!("{name}: p50 {:.0} µs, p99 {:.0} µs", latencies.at(0.5), latencies.at(0.99));
        chart
            .draw_series(LineSeries::new(points(latencies), style))?
            .label(label)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .label_font((FONT, 14))
        .draw()?;
    root.present()?;
    Ok(())
}

/// A curve as far to the right as its requests carry it.
fn points(latencies: &Latencies) -> Vec<(f64, f64)> {
    let most = nines(latencies.count());
    let at = |step: u32| {
        let nines = most * f64::from(step) / f64::from(POINTS);
        (nines, latencies.at(1.0 - 10_f64.powf(-nines)).max(0.1))
    };
    if latencies.count() == 0 { Vec::new() } else { (0..=POINTS).map(at).collect() }
}

/// How many nines the percentile of the slowest of so many requests has: 2 for a hundred.
fn nines(count: u64) -> f64 {
    super::report::float(count.max(10)).log10()
}

/// Half an octave of room around all curves.
fn bounds(curves: &[(&str, &Latencies)]) -> (f64, f64) {
    let all: Vec<f64> = curves.iter().flat_map(|(_, latencies)| points(latencies)).map(|(_, micros)| micros).collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let high = all.iter().copied().fold(0.0, f64::max);
    if low < high { (low / 1.5, high * 2.0) } else { (1.0, 1000.0) }
}

/// `p90` for 1, `p99.9` for 3; `p0` at the left end.
fn percentile_name(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 10_f64.powf(-nines));
    let digits = if nines <= 2.0 { 0 } else { 1 + usize::from(nines > 3.0) + usize::from(nines > 4.0) };
    format!("p{percent:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_axis_names_percentiles_as_people_do() {
        let names = [0.0, 1.0, 2.0, 3.0, 4.0].map(percentile_name);

        assert_eq!(names, ["p0", "p90", "p99", "p99.9", "p99.99"]);
    }

    #[test]
    fn a_drawing_names_its_axes_and_curves() {
        let mut latencies = Latencies::new().expect("sound bounds");
        (1..2000).for_each(|micros| latencies.record(Duration::from_micros(micros)));
        let mut svg = String::new();

        draw(&mut svg, "A title", &[("recall", &latencies), ("floor", &latencies)]).expect("drawn");

        for text in ["A title", "percentile", "latency in µs", "p99", "recall: p50", "floor: p50"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn nothing_measured_is_an_empty_drawing() {
        let latencies = Latencies::new().expect("sound bounds");

        assert!(draw(&mut String::new(), "nothing", &[("recall", &latencies)]).is_ok());
    }
}
