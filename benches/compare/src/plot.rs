//! The picture of a comparison: patch sizes by pair above, what diffing and applying cost below, all relative to bsdiff.

use crate::document::{in_mib, with_commas};
use crate::peer::Peer;
use crate::results::{Cost, PairResult, Results};
use crate::svg::{Anchor, Drawing, Mark, Point, Shape, Type};

const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 28.0;
const ROW: f64 = 36.0;
const ROWS_TOP: f64 = 172.0;
/// Between the names of the pairs and the bytes of our patch.
const RATIO_AXIS: (f64, f64) = (200.0, 850.0);
/// Between the middles of two marks of a row.
const CLEARANCE: f64 = 8.0;
const CLOUD_HEIGHT: f64 = 330.0;

const INK: &str = "#1f2328";
const FAINT: &str = "#656d76";
const GRID: &str = "#e3e8ed";
const BAND: &str = "#f6f8fa";

/// How each peer is drawn: colours that colour-blind eyes tell apart, shapes for the rest, ours largest.
fn mark_of(peer: Peer) -> Mark {
    let (shape, colour, radius) = match peer {
        Peer::Full => (Shape::Cross, "#8c959f", 5.0),
        Peer::Bsdiff => (Shape::Circle, "#57606a", 5.0),
        Peer::Qbsdiff => (Shape::Square, "#8c959f", 5.0),
        Peer::Xdelta3 => (Shape::Triangle, "#cc79a7", 5.5),
        Peer::Zstd => (Shape::Cross, "#d55e00", 5.5),
        Peer::BidiffZstd => (Shape::Square, "#6639ba", 5.0),
        Peer::HdiffpatchZstd => (Shape::Triangle, "#56b4e9", 5.5),
        Peer::HdiffpatchLzma2 => (Shape::Circle, "#0072b2", 5.0),
        Peer::OursBidiff => (Shape::Circle, "#e6a100", 6.0),
        Peer::OursClassic => (Shape::Diamond, "#b5179e", 6.0),
        Peer::OursReference => (Shape::Diamond, "#1a7f37", 7.5),
        Peer::OursAuto => (Shape::Circle, "#2da44e", 6.0),
    };
    Mark { shape, colour, radius, opacity: 1.0 }
}

fn set(size: f64, colour: &'static str, anchor: Anchor) -> Type {
    Type { size, colour, bold: false, anchor }
}

fn title(size: f64) -> Type {
    Type { size, colour: INK, bold: true, anchor: Anchor::Start }
}

fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A logarithmic axis: values onto pixels.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Spans the values in whole powers of `base`, within `bounds`.
    fn spanning(values: &[f64], base: f64, bounds: (f64, f64), pixels: (f64, f64)) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).max(bounds.0);
        let most = values.iter().copied().fold(0.0, f64::max).min(bounds.1);
        let (least, most) = if least <= most { (least, most) } else { (1.0, 1.0) };
        // A value just on a power keeps some room from the frame.
        let low = base.powf((least.log(base) - 0.02).floor());
        let high = base.powf((most.log(base) + 0.02).ceil());
        Self { low, high, from: pixels.0, to: pixels.1 }
    }

    fn place(self, value: f64) -> f64 {
        let part = (value.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        self.from + part * (self.to - self.from)
    }

    /// The powers of `base` on the axis, both ends included.
    fn ticks(self, base: f64) -> Vec<f64> {
        let (first, last) = (self.low.log(base).round() as i32, self.high.log(base).round() as i32);
        (first..=last).map(|power| base.powi(power)).collect()
    }
}

/// Draws everything that was measured.
pub(crate) fn draw(results: &Results) -> String {
    let rows_bottom = ROWS_TOP + ROW * results.pairs.len() as f64;
    let clouds_top = rows_bottom + 120.0;
    let height = clouds_top + CLOUD_HEIGHT + 70.0;
    let mut drawing = Drawing::new(
        WIDTH,
        height,
        "Patch size relative to bsdiff for each pair of builds, and CPU time and peak memory of diffing and applying, by codec",
    );
    ratios(results, &mut drawing, rows_bottom);
    let middle = WIDTH / 2.0;
    Cloud {
        title: "Making a patch",
        unit: "CPU, bsdiff = 1",
        left: MARGIN + 52.0,
        right: middle - 18.0,
        top: clouds_top,
        cost: |pair, peer| pair.figures(peer).map(|figures| figures.diff),
    }
    .draw(results, &mut drawing);
    Cloud {
        title: "Applying it",
        unit: "CPU, bspatch = 1",
        left: middle + MARGIN + 44.0,
        right: WIDTH - MARGIN,
        top: clouds_top,
        cost: |pair, peer| pair.figures(peer).filter(|_| has_own_patch(peer)).map(|figures| figures.apply),
    }
    .draw(results, &mut drawing);
    drawing.finish()
}

fn measured(results: &Results) -> impl Iterator<Item = Peer> + '_ {
    Peer::ALL.into_iter().filter(|peer| results.pairs.iter().any(|pair| pair.figures(*peer).is_some()))
}

/// Choosing the smallest makes a patch that another one of ours makes too: only what that costs is worth a mark.
fn has_own_patch(peer: Peer) -> bool {
    peer != Peer::OursAuto
}

fn ratio(pair: &PairResult, peer: Peer) -> Option<f64> {
    let bsdiff = pair.figures(Peer::Bsdiff)?;
    Some(pair.figures(peer)?.patch_size as f64 / bsdiff.patch_size as f64)
}

fn ratios(results: &Results, drawing: &mut Drawing, bottom: f64) {
    drawing.text(at(MARGIN, 44.0), "Patch size", title(20.0));
    let subtitle = "relative to bsdiff, logarithmic: further left is smaller; marks at the edge lie beyond it. Full copies are in the table.";
    drawing.text(at(MARGIN, 64.0), subtitle, set(13.0, FAINT, Anchor::Start));
    let is_shown = |peer: &Peer| has_own_patch(*peer) && !matches!(peer, Peer::Full | Peer::Bsdiff);
    let in_plot: Vec<Peer> = measured(results).filter(is_shown).collect();
    legend(&in_plot, drawing);

    let values: Vec<f64> =
        results.pairs.iter().flat_map(|pair| in_plot.iter().filter_map(|peer| ratio(pair, *peer))).collect();
    let axis = Axis::spanning(&values, 2.0, (1.0 / 32.0, 4.0), RATIO_AXIS);
    for (index, _) in results.pairs.iter().enumerate().step_by(2) {
        let corner = at(MARGIN - 8.0, ROWS_TOP + ROW * index as f64);
        drawing.rectangle(corner, WIDTH - 2.0 * MARGIN + 16.0, ROW, BAND);
    }
    for tick in axis.ticks(2.0) {
        let is_bsdiff = (tick - 1.0).abs() < 1e-9;
        let x = axis.place(tick);
        let (colour, width) = if is_bsdiff { (FAINT, 1.5) } else { (GRID, 1.0) };
        drawing.line(at(x, ROWS_TOP), at(x, bottom + 6.0), colour, width);
        let label = if is_bsdiff { "bsdiff = 1".to_owned() } else { tick_label(tick) };
        drawing.text(at(x, bottom + 22.0), &label, set(12.0, FAINT, Anchor::Middle));
    }
    drawing.text(at(WIDTH - MARGIN, ROWS_TOP - 8.0), "our patch, bytes", set(12.0, FAINT, Anchor::End));
    for (index, pair) in results.pairs.iter().enumerate() {
        let y = ROWS_TOP + ROW * (index as f64 + 0.5);
        drawing.text(at(MARGIN, y), &pair.id, set(13.5, INK, Anchor::Start));
        drawing.text(at(MARGIN, y + 12.0), &pair.about, set(10.0, FAINT, Anchor::Start));
        let marks: Vec<(Peer, f64, String)> = in_plot
            .iter()
            .filter_map(|peer| {
                let (ratio, figures) = (ratio(pair, *peer)?, pair.figures(*peer)?);
                let hint = format!("{}: {} bytes, {ratio:.3}", peer.label(), with_commas(figures.patch_size));
                Some((*peer, axis.place(ratio), hint))
            })
            .collect();
        let lanes = lanes(&marks.iter().map(|(_, x, _)| *x).collect::<Vec<_>>());
        for ((peer, x, hint), lane) in marks.iter().zip(lanes) {
            drawing.mark(at(*x, y + lane), mark_of(*peer), hint);
        }
        if let Some(ours) = smallest_of_ours(pair) {
            drawing.text(
                at(WIDTH - MARGIN, y + 5.0),
                &with_commas(ours),
                Type { bold: true, ..set(13.0, INK, Anchor::End) },
            );
        }
    }
}

/// How far each mark of a row moves up or down so as not to cover a neighbour. The last ones, which are ours, stay in
/// the middle.
fn lanes(places: &[f64]) -> Vec<f64> {
    let mut lanes: Vec<(f64, f64)> = Vec::new();
    for place in places.iter().rev() {
        let is_free = |lane: f64| lanes.iter().all(|(x, taken)| (x - place).hypot(taken - lane) >= CLEARANCE);
        let lane = [0.0, -9.0, 9.0].into_iter().find(|lane| is_free(*lane)).unwrap_or(0.0);
        lanes.push((*place, lane));
    }
    lanes.into_iter().rev().map(|(_, lane)| lane).collect()
}

fn smallest_of_ours(pair: &PairResult) -> Option<u64> {
    let ours = Peer::ALL.into_iter().filter(|peer| peer.is_ours());
    ours.filter_map(|peer| pair.figures(peer)).map(|figures| figures.patch_size).min()
}

fn legend(peers: &[Peer], drawing: &mut Drawing) {
    let columns = 4;
    for (index, peer) in peers.iter().enumerate() {
        let x = MARGIN + 6.0 + 200.0 * (index % columns) as f64;
        let y = 92.0 + 22.0 * (index / columns) as f64;
        drawing.mark(at(x, y - 4.0), mark_of(*peer), peer.label());
        let label = Type { bold: peer.is_ours(), ..set(12.5, INK, Anchor::Start) };
        drawing.text(at(x + 13.0, y), peer.label(), label);
    }
}

/// Powers of two below one as fractions, which take less room than their decimals.
fn tick_label(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("1/{:.0}", 1.0 / value) }
}

/// One dot per pair and peer over CPU and memory, and a large mark with its name at each peer's geometric mean.
struct Cloud {
    title: &'static str,
    unit: &'static str,
    left: f64,
    right: f64,
    top: f64,
    cost: fn(&PairResult, Peer) -> Option<Cost>,
}

impl Cloud {
    fn draw(&self, results: &Results, drawing: &mut Drawing) {
        let (top, bottom) = (self.top, self.top + CLOUD_HEIGHT);
        drawing.text(at(self.left - 52.0, top - 38.0), self.title, title(20.0));
        let subtitle = "small: pairs; large: geometric means; down and left is better";
        drawing.text(at(self.left - 52.0, top - 18.0), subtitle, set(13.0, FAINT, Anchor::Start));

        let points: Vec<(Peer, &PairResult, f64, f64)> = measured(results)
            .flat_map(|peer| results.pairs.iter().map(move |pair| (peer, pair)))
            .filter_map(|(peer, pair)| {
                let (cpu, mib) = (self.cpu(pair, peer)?, self.mib(pair, peer)?);
                Some((peer, pair, cpu, mib))
            })
            .collect();
        let cpus: Vec<f64> = points.iter().map(|(_, _, cpu, _)| *cpu).collect();
        let mibs: Vec<f64> = points.iter().map(|(_, _, _, mib)| *mib).collect();
        let across = Axis::spanning(&cpus, 2.0, (1e-6, 1e9), (self.left, self.right));
        let up = Axis::spanning(&mibs, 2.0, (1.0, 1e9), (bottom, top));
        self.frame(across, up, drawing);

        for (peer, pair, cpu, mib) in &points {
            let mark = Mark { radius: 3.0, opacity: 0.4, ..mark_of(*peer) };
            let hint = format!("{}, {}: {cpu:.3}, {mib:.1} MiB", peer.label(), pair.id);
            drawing.mark(at(across.place(*cpu), up.place(*mib)), mark, &hint);
        }
        let mut taken: Vec<Box2> = Vec::new();
        let means: Vec<(Peer, Point)> = measured(results)
            .filter_map(|peer| {
                let (cpu, _) = results.geometric_mean(|pair| self.cpu(pair, peer))?;
                let (mib, _) = results.geometric_mean(|pair| self.mib(pair, peer))?;
                Some((peer, at(across.place(cpu), up.place(mib))))
            })
            .collect();
        for (peer, point) in &means {
            drawing.mark(*point, mark_of(*peer), peer.label());
            taken.push(Box2::around(*point, 14.0, 14.0));
        }
        // Ours choose their place first.
        for (peer, point) in means.iter().rev() {
            let frame = Box2 { left: self.left, right: self.right, top, bottom };
            let (place, anchor) = label_place(*point, peer.label(), frame, &mut taken);
            // A label that had to go further away is tied to its mark.
            let end = at(place.x, place.y - 4.0);
            if (end.x - point.x).hypot(end.y - point.y) > 18.0 {
                drawing.line(*point, end, FAINT, 0.7);
            }
            let label = Type { bold: peer.is_ours(), ..set(11.5, INK, anchor) };
            drawing.text(place, peer.label(), label);
        }
    }

    fn frame(&self, across: Axis, up: Axis, drawing: &mut Drawing) {
        let (top, bottom) = (self.top, self.top + CLOUD_HEIGHT);
        for tick in across.ticks(2.0) {
            let x = across.place(tick);
            drawing.line(at(x, top), at(x, bottom), GRID, 1.0);
            drawing.text(at(x, bottom + 16.0), &tick_label(tick), set(11.0, FAINT, Anchor::Middle));
        }
        for tick in up.ticks(2.0) {
            let y = up.place(tick);
            drawing.line(at(self.left, y), at(self.right, y), GRID, 1.0);
            let label = in_mib((tick * f64::from(1 << 20)) as u64).trim_end_matches(".0").to_owned();
            drawing.text(at(self.left - 6.0, y + 4.0), &label, set(11.0, FAINT, Anchor::End));
        }
        let middle = f64::midpoint(self.left, self.right);
        drawing.text(at(middle, bottom + 36.0), self.unit, set(12.5, FAINT, Anchor::Middle));
        let middle = f64::midpoint(top, bottom);
        drawing.upward_text(
            at(self.left - 42.0, middle),
            "peak memory, MiB",
            set(12.5, FAINT, Anchor::Middle),
        );
    }

    /// CPU relative to bsdiff's on the same pair, since seconds of different machines and hours say little.
    fn cpu(&self, pair: &PairResult, peer: Peer) -> Option<f64> {
        // A process too short for the clock still has a place on the axis.
        let seconds = |peer| Some((self.cost)(pair, peer)?.cpu.max(1e-4));
        Some(seconds(peer)? / seconds(Peer::Bsdiff)?)
    }

    fn mib(&self, pair: &PairResult, peer: Peer) -> Option<f64> {
        Some((self.cost)(pair, peer)?.peak as f64 / f64::from(1 << 20))
    }
}

/// Room on the drawing that something takes.
#[derive(Clone, Copy, Debug)]
struct Box2 {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Box2 {
    fn around(point: Point, width: f64, height: f64) -> Self {
        Self {
            left: point.x - width / 2.0,
            right: point.x + width / 2.0,
            top: point.y - height / 2.0,
            bottom: point.y + height / 2.0,
        }
    }

    /// The area that two boxes share.
    fn overlap(self, other: Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    fn outside(self, frame: Self) -> f64 {
        let area = (self.right - self.left) * (self.bottom - self.top);
        area - self.overlap(frame)
    }
}

/// A place for a label next to its mark, where it covers the least of what is there already.
fn label_place(point: Point, label: &str, frame: Box2, taken: &mut Vec<Box2>) -> (Point, Anchor) {
    // Wide enough for the usual sans-serif faces, and for bold.
    let width = 7.2 * label.chars().count() as f64;
    // Right next to the mark if there is room, else a little further out.
    let candidates = [11.0, 20.0, 32.0, 44.0].into_iter().flat_map(|reach| {
        let slant = reach * 0.75;
        [
            (reach, 4.0, Anchor::Start, reach),
            (-reach, 4.0, Anchor::End, reach),
            (0.0, -reach, Anchor::Middle, reach),
            (0.0, reach + 9.0, Anchor::Middle, reach),
            (slant, -slant, Anchor::Start, reach),
            (slant, slant + 8.0, Anchor::Start, reach),
            (-slant, -slant, Anchor::End, reach),
            (-slant, slant + 8.0, Anchor::End, reach),
        ]
    });
    let mut best: Option<(f64, Point, Anchor, Box2)> = None;
    for (right, down, anchor, reach) in candidates {
        let place = at(point.x + right, point.y + down);
        let left = match anchor {
            Anchor::Start => place.x,
            Anchor::Middle => place.x - width / 2.0,
            Anchor::End => place.x - width,
        };
        let room = Box2 { left, right: left + width, top: place.y - 10.0, bottom: place.y + 3.0 };
        let covered: f64 = taken.iter().map(|other| room.overlap(*other)).sum();
        let cost = covered + 10.0 * room.outside(frame) + reach;
        if best.is_none_or(|(least, ..)| cost < least - 1e-9) {
            best = Some((cost, place, anchor, room));
        }
    }
    let (_, place, anchor, room) = best.unwrap_or((0.0, point, Anchor::Start, Box2::around(point, 0.0, 0.0)));
    taken.push(room);
    (place, anchor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn an_axis_spans_its_values_in_whole_powers_and_clips_what_is_beyond() {
        let axis = Axis::spanning(&[0.3, 3.0, 100.0], 2.0, (0.01, 8.0), (0.0, 100.0));
        assert_eq!(axis.ticks(2.0), [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]);
        assert!((axis.place(0.25) - 0.0).abs() < 1e-9);
        assert!((axis.place(2.0) - 50.0).abs() < 1e-9);
        assert!((axis.place(1e6) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn labels_keep_clear_of_each_other() {
        let frame = Box2 { left: 0.0, right: 400.0, top: 0.0, bottom: 400.0 };
        let mut taken = Vec::new();
        for _ in 0..8 {
            label_place(at(200.0, 200.0), "bsdiff", frame, &mut taken);
        }
        for (index, one) in taken.iter().enumerate() {
            assert!(one.outside(frame) < 1e-9);
            for other in taken.iter().skip(index + 1) {
                assert!(one.overlap(*other) < 30.0, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn marks_in_one_place_move_apart_and_ours_stays_in_the_middle() {
        assert_eq!(lanes(&[100.0, 300.0, 102.0, 101.0]), [9.0, 0.0, -9.0, 0.0]);
        assert_eq!(lanes(&[]), [0.0; 0]);
    }

    #[test]
    fn draws_every_peer_that_was_measured_and_nothing_else() {
        let pair = samples::pair(
            "editor",
            &[(Peer::Bsdiff, 100, 1.0, 1 << 24), (Peer::OursClassic, 50, 0.1, 1 << 22)],
        );
        let svg = draw(&Results { pairs: vec![pair] });
        assert!(svg.contains("smidgen classic: 50 bytes, 0.500"));
        assert!(!svg.contains("xdelta3"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Nothing measured still is a drawing.
        assert!(!draw(&Results::default()).contains("NaN"));
    }
}
