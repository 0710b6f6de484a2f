//! ClickHouse's `histogram`: adaptive bins by Ben-Haim and Tom-Tov, "A Streaming Parallel Decision Tree
//! Algorithm" (2010). The nearest points are fused until few enough are left, so that the bins depend a
//! little on the order of the values, there as here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One bin: lower and upper border, and height.
pub(super) type Bin = (f64, f64, f64);

#[derive(Debug, Clone, Copy)]
struct Point {
    mean: f64,
    weight: f64,
}

impl Point {
    fn fused(self, other: Self) -> Self {
        let weight = self.weight + other.weight;
        Self { mean: self.mean + other.weight * (other.mean - self.mean) / weight, weight }
    }
}

/// Orders floats that are never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Distance(f64);

impl Eq for Distance {}
impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Distance {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Values so far, as few weighted points.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    n_bins: usize,
    points: Vec<Point>,
    lowest: f64,
    highest: f64,
}

impl Histogram {
    pub(super) fn new(n_bins: usize) -> Self {
        Self { n_bins, points: Vec::new(), lowest: f64::INFINITY, highest: f64::NEG_INFINITY }
    }

    /// A value; not NaN.
    pub(super) fn add(&mut self, value: f64) {
        (self.lowest, self.highest) = (self.lowest.min(value), self.highest.max(value));
        self.points.push(Point { mean: value, weight: 1.0 });
        if self.points.len() >= self.n_bins * 2 {
            self.compress();
        }
    }

    /// At most the asked number of bins. A bin's height is a mean of its own weight and its neighbours'.
    pub(super) fn bins(mut self) -> Vec<Bin> {
        self.compress();
        let points = &self.points;
        let border = |left: Point, right: Point| f64::midpoint(left.mean, right.mean);
        let bin = |at: usize| {
            let point = points[at];
            let (left, right) = (at.checked_sub(1).map(|it| points[it]), points.get(at + 1).copied());
            let weight = |neighbour: Option<Point>| neighbour.unwrap_or(point).weight;
            (
                left.map_or(self.lowest, |left| border(left, point)),
                right.map_or(self.highest, |right| border(point, right)),
                (weight(left) + 6.0 * point.weight + weight(right)) / 8.0,
            )
        };
        (0..points.len()).map(bin).collect()
    }

    /// Fuses neighbours, nearest first.
    fn compress(&mut self) {
        self.points.sort_by(|left, right| left.mean.total_cmp(&right.mean));
        let n_points = self.points.len();
        if n_points <= self.n_bins {
            return;
        }
        let points = &mut self.points;
        // A list of the points that are left, by their places.
        let mut previous: Vec<Option<usize>> = (0..n_points).map(|at| at.checked_sub(1)).collect();
        let mut next: Vec<Option<usize>> = (1..=n_points).map(|at| (at < n_points).then_some(at)).collect();
        let mut is_gone = vec![false; n_points];
        let distance = |points: &[Point], next: &[Option<usize>], at: usize| {
            next[at].map(|right| Distance(points[right].mean - points[at].mean))
        };
        let mut queue: BinaryHeap<Reverse<(Distance, usize)>> =
            (0..n_points).filter_map(|at| Some(Reverse((distance(points, &next, at)?, at)))).collect();
        let mut n_left = n_points;
        while n_left > self.n_bins
            && let Some(Reverse((known, left))) = queue.pop()
        {
            let Some(right) = next[left].filter(|_| !is_gone[left]) else { continue };
            // An entry from before one of the two was fused.
            if distance(points, &next, left).is_none_or(|now| now > known) {
                continue;
            }
            points[left] = points[left].fused(points[right]);
            is_gone[right] = true;
            next[left] = next[right];
            if let Some(after) = next[right] {
                previous[after] = Some(left);
            }
            for at in [Some(left), previous[left]].into_iter().flatten() {
                queue.extend(distance(points, &next, at).map(|it| Reverse((it, at))));
            }
            n_left -= 1;
        }
        let mut gone = is_gone.into_iter();
        points.retain(|_| !gone.next().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of ClickHouse's documentation: `histogram(5)(number + 1)` of the numbers 0 to 19.
    #[test]
    fn bins_are_those_of_clickhouse() {
        let mut histogram = Histogram::new(5);
        (1..=20).for_each(|it| histogram.add(f64::from(it)));
        let expected =
            [(1.0, 4.5, 4.0), (4.5, 8.5, 4.0), (8.5, 12.75, 4.125), (12.75, 17.0, 4.625), (17.0, 20.0, 3.25)];
        assert_eq!(histogram.bins(), expected);
    }

    #[test]
    fn nothing_has_no_bins_and_one_value_has_one() {
        assert!(Histogram::new(5).bins().is_empty());
        let mut histogram = Histogram::new(5);
        histogram.add(3.0);
        assert_eq!(histogram.bins(), [(3.0, 3.0, 1.0)]);
    }
}
