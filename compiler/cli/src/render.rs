//! Diagnostics for people: annotate-snippets for places in text, plain lines for nodes and bytes.

use crate::args::Colour;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::io::{IsTerminal, Write};
use tricot_types::{Diagnostic, Place, Severity};

/// Prints diagnostics to standard error.
pub fn print(problems: &[Diagnostic], colour: Colour) {
    let styled = match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let mut out = std::io::stderr().lock();
    for problem in problems {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(out, "{}\n", render(problem, &renderer));
    }
}

/// One diagnostic as text.
pub fn render(problem: &Diagnostic, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(level.primary_title(&problem.message).id(problem.code));
    let mut notes = vec![];
    for (i, label) in problem.labels.iter().enumerate() {
        match &label.place {
            Place::Text { source, span } => {
                let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let end = span.end.min(source.text.len());
                let annotation = kind.span(span.start.min(end)..end).label(&label.message);
                group = group.element(Snippet::source(&source.text).path(&source.name).annotation(annotation));
            }
            Place::Node { file, node, op } => {
                group = group.element(Origin::path(file));
                notes.push(remark(format!("node `{node}` ({op})"), &label.message));
            }
            Place::Byte { file, offset } => {
                group = group.element(Origin::path(file));
                notes.push(remark(format!("at byte {offset}"), &label.message));
            }
            Place::Named(name) => notes.push(remark(format!("at {name}"), &label.message)),
        }
    }
    notes.extend(problem.notes.iter().cloned());
    for note in &notes {
        group = group.element(Level::NOTE.message(note));
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help));
    }
    renderer.render(&[group]).to_string()
}

fn remark(place: String, message: &str) -> String {
    if message.is_empty() { place } else { format!("{place}: {message}") }
}
