//! The roofline plot of a report, as SVG: operations a second over operations a byte, both logarithmic.

use super::Report;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use tricot_runtime::Diagnostic;

const SIZE: (u32, u32) = (900, 600);

/// The picture as text. Kernels without arithmetic have no place in it and are left out.
pub fn roofline(report: &Report) -> Result<String, Vec<Diagnostic>> {
    let mut svg = String::new();
    draw(report, &mut svg)
        .map_err(|e| vec![Diagnostic::error("TC1001", format!("the roofline plot cannot be drawn: {e}"))])?;
    Ok(svg)
}

fn draw(report: &Report, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let ceilings = &report.ceilings;
    let points: Vec<(f64, f64, &str)> = std::iter::once(&report.plan)
        .chain(&report.kernels)
        .filter(|l| l.flops > 0.0 && l.bytes > 0.0 && l.median > 0.0)
        .map(|l| (l.flops / l.bytes, l.tflops, l.name.as_str()))
        .collect();
    let [narrow, half, single] = ceilings.matrix.map(|r| r / 1e12);
    let mut roofs = vec![(single, "32-bit"), (half, "16-bit"), (narrow, "8-bit")];
    roofs.dedup_by(|a, b| a.0 == b.0);
    let top = roofs.iter().map(|r| r.0).fold(1e-9, f64::max);
    let slope = ceilings.bandwidth / 1e12;
    let knee = top / slope;
    let left = points.iter().map(|p| p.0).fold(knee / 1e3, f64::min) / 2.0;
    let right = points.iter().map(|p| p.0).fold(knee * 4.0, f64::max) * 2.0;
    let floor = points.iter().map(|p| p.1).fold(left * slope, f64::min) / 2.0;

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{} on {}", report.bundle, report.device), ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right).log_scale(), (floor..top * 2.0).log_scale())?;
    chart.configure_mesh().x_desc("operations a byte").y_desc("TFLOP/s").light_line_style(WHITE).draw()?;
    for (roof, name) in &roofs {
        let line = [(left.max(floor / slope), (left * slope).max(floor)), (roof / slope, *roof), (right, *roof)];
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.6)))?;
        chart.draw_series([Text::new(
            format!("products, {name}"),
            (roof / slope, *roof),
            label(HPos::Left, VPos::Bottom),
        )])?;
    }
    for (at, (x, y, name)) in points.iter().enumerate() {
        let colour = if at == 0 { RED } else { BLUE };
        chart.draw_series([Circle::new((*x, *y), 4, colour.filled())])?;
        // Names point to the middle of the picture.
        let (side, place) = if x * x > left * right { (HPos::Right, x / 1.06) } else { (HPos::Left, x * 1.06) };
        chart.draw_series([Text::new((*name).to_string(), (place, *y), label(side, VPos::Center))])?;
    }
    root.present()?;
    Ok(())
}

fn label(side: HPos, height: VPos) -> TextStyle<'static> {
    ("sans-serif", 12).into_text_style(&SIZE).pos(Pos::new(side, height))
}
