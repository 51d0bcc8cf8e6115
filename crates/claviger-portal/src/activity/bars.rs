//! Bars for how a key was used: errors at the foot, rate limits on them, and the other requests on top.

use super::usage::Counts;
use crate::chart::bar;

/// The height of the highest bar in the picture's own units; the least that is drawn of what there is may stand out.
const HEIGHT: u64 = 48;
const LEAST: u64 = 2;
/// Where bars stand.
const FOOT: u64 = HEIGHT + 2 * LEAST;
/// About as wide as a picture becomes, and the space after each bar.
const WIDTH: usize = 360;
const SPACE: usize = 3;

/// A picture's measures and SVG paths; those of what did not happen are empty.
pub(super) struct Bars {
    pub(super) width: usize,
    pub(super) height: u64,
    pub(super) other: String,
    pub(super) limits: String,
    pub(super) errors: String,
}

/// Draws these counts, one bar each, the highest for so many requests.
pub(super) fn draw(slots: &[Counts], highest: u64) -> Bars {
    let step = (WIDTH / slots.len().max(1)).max(SPACE + 1);
    let (mut other, mut limits, mut errors) = (String::new(), String::new(), String::new());
    for (index, counts) in slots.iter().enumerate() {
        // What there is can be seen, however little it is.
        let high = |of: u64| if of == 0 { 0 } else { (of.saturating_mul(HEIGHT) / highest.max(1)).max(LEAST) };
        let mut foot = FOOT;
        let stack = [(&mut errors, counts.errors), (&mut limits, counts.limits), (&mut other, counts.other())];
        for (path, count) in stack {
            bar(path, (index * step, step - SPACE), foot, high(count));
            foot = foot.saturating_sub(high(count));
        }
    }
    Bars { width: step * slots.len() - SPACE, height: FOOT, other, limits, errors }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_stands_at_the_foot_and_is_seen_however_little_it_is() {
        let slots = [
            Counts { requests: 96, limits: 24, errors: 24 },
            Counts::default(),
            Counts { requests: 960, limits: 1, errors: 1 },
        ];
        let bars = draw(&slots, 960);
        assert_eq!(bars.errors, "M0 52v-2h117v2zM240 52v-2h117v2z");
        assert_eq!(bars.limits, "M0 50v-2h117v2zM240 50v-2h117v2z");
        assert_eq!(bars.other, "M0 48v-2h117v2zM240 48v-47h117v47z");
        assert_eq!((bars.width, bars.height), (357, 52));
    }
}
