//! A small writer of SVG: shapes and text by position, nothing that a browser or a reader on paper would not draw.

use std::fmt::Write as _;

/// A drawing under way.
pub(crate) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// A position in pixels, from the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Which end of a text stands at its position.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How text is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    pub(crate) size: f64,
    pub(crate) colour: &'static str,
    pub(crate) bold: bool,
    pub(crate) anchor: Anchor,
}

/// The form of a mark, so that colour is never the only difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Diamond,
    Triangle,
    Cross,
}

/// How a mark looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) shape: Shape,
    pub(crate) colour: &'static str,
    /// From the middle to the edge.
    pub(crate) radius: f64,
    pub(crate) opacity: f64,
}

impl Drawing {
    /// An empty white drawing with a title for readers who cannot see it.
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut drawing = Self { width, height, body: String::new() };
        let _ = writeln!(drawing.body, "<title>{}</title>", escaped(title));
        let _ = writeln!(
            drawing.body,
            r##"<rect width="{width}" height="{height}" rx="10" fill="#ffffff" stroke="#d8dee4"/>"##
        );
        drawing
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: Point, to: Point, colour: &str, width: f64) {
        let _ = writeln!(
            self.body,
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke="{colour}" stroke-width="{width}"/>"#,
            from.x, from.y, to.x, to.y
        );
    }

    /// A filled rectangle without border.
    pub(crate) fn rectangle(&mut self, corner: Point, width: f64, height: f64, colour: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{:.1}" y="{:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#,
            corner.x, corner.y
        );
    }

    /// One line of text; `at` is on its baseline.
    pub(crate) fn text(&mut self, at: Point, text: &str, set: Type) {
        let anchor = match set.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if set.bold { r#" font-weight="600""# } else { "" };
        let _ = writeln!(
            self.body,
            r##"<text x="{:.1}" y="{:.1}" font-size="{}" fill="{}" text-anchor="{anchor}"{weight} stroke="#ffffff" stroke-width="2.5" stroke-opacity="0.8" paint-order="stroke">{}</text>"##,
            at.x,
            at.y,
            set.size,
            set.colour,
            escaped(text)
        );
    }

    /// Text that runs upwards, for a vertical axis.
    pub(crate) fn upward_text(&mut self, at: Point, text: &str, set: Type) {
        let _ = writeln!(self.body, r#"<g transform="rotate(-90 {:.1} {:.1})">"#, at.x, at.y);
        self.text(at, text, set);
        self.body.push_str("</g>\n");
    }

    /// A mark with a thin white rim, so that marks on top of each other stay apart; `hint` is shown under the pointer.
    pub(crate) fn mark(&mut self, at: Point, mark: Mark, hint: &str) {
        let Point { x, y } = at;
        let r = mark.radius;
        let (d, t) = (r * 1.25, r * 1.15);
        let shape = match mark.shape {
            Shape::Circle => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{r:.1}""#),
            Shape::Square => format!(
                r#"<rect x="{:.1}" y="{:.1}" width="{s:.1}" height="{s:.1}""#,
                x - r * 0.9,
                y - r * 0.9,
                s = r * 1.8
            ),
            Shape::Diamond => format!(
                r#"<path d="M{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}Z""#,
                y - d,
                x + d,
                y + d,
                x - d
            ),
            Shape::Triangle => format!(
                r#"<path d="M{x:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z""#,
                y - t,
                x + t,
                y + t * 0.8,
                x - t,
                y + t * 0.8
            ),
            Shape::Cross => {
                let a = r * 0.4;
                format!(
                    r#"<path d="M{:.1} {:.1}h{w:.1}v{l:.1}h{l:.1}v{w:.1}h-{l:.1}v{l:.1}h-{w:.1}v-{l:.1}h-{l:.1}v-{w:.1}h{l:.1}Z""#,
                    x - a,
                    y - r * 1.1,
                    w = a * 2.0,
                    l = r * 1.1 - a
                )
            }
        };
        let _ = writeln!(
            self.body,
            r##"{shape} fill="{}" fill-opacity="{}" stroke="#ffffff" stroke-width="0.8"><title>{}</title></{}>"##,
            mark.colour,
            mark.opacity,
            escaped(hint),
            match mark.shape {
                Shape::Circle => "circle",
                Shape::Square => "rect",
                Shape::Diamond | Shape::Triangle | Shape::Cross => "path",
            }
        );
    }

    /// The whole file.
    pub(crate) fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" role=\"img\">\n{body}</svg>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_its_element() {
        let mut drawing = Drawing::new(10.0, 10.0, "a < b");
        let set = Type { size: 12.0, colour: "#000", bold: true, anchor: Anchor::Middle };
        drawing.text(Point { x: 1.0, y: 2.0 }, "</text><script> & \"more\"", set);
        let svg = drawing.finish();
        assert!(svg.contains("&lt;/text&gt;&lt;script&gt; &amp; &quot;more&quot;"), "{svg}");
        assert!(svg.contains("<title>a &lt; b</title>"), "{svg}");
    }

    #[test]
    fn every_shape_is_closed() {
        for shape in [Shape::Circle, Shape::Square, Shape::Diamond, Shape::Triangle, Shape::Cross] {
            let mut drawing = Drawing::new(10.0, 10.0, "t");
            let mark = Mark { shape, colour: "#123456", radius: 4.0, opacity: 1.0 };
            drawing.mark(Point { x: 5.0, y: 5.0 }, mark, "hint");
            let svg = drawing.finish();
            for element in ["circle", "rect", "path"] {
                let opened = svg.matches(&format!("<{element} ")).count();
                let closed = svg.matches(&format!("</{element}>")).count();
                // The background is a rectangle that closes itself.
                assert_eq!(opened - usize::from(element == "rect"), closed, "{shape:?} {element}");
            }
        }
    }
}
