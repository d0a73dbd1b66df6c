//! Box plots: a distribution as five numbers.

use crate::Labels;
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, px};
use crate::scale::{Scale, number};
use crate::text::shortened;
use maud::{Markup, html};

/// Boxes drawn at most.
const MOST: usize = 40;

/// Five numbers of one distribution, rising.
#[derive(Clone, Copy, Debug)]
pub struct BoxOf<'a> {
    /// Name under the box.
    pub name: &'a str,
    /// Lower whisker, lower quartile, median, upper quartile, upper whisker.
    pub five: [f64; 5],
}

/// Boxes side by side; one with a number that is not finite is left out, and of many the first are drawn.
#[must_use]
pub fn box_plot(labels: Labels<'_>, boxes: &[BoxOf<'_>]) -> Markup {
    let shown: Vec<&BoxOf<'_>> = boxes.iter().filter(|b| b.five.iter().all(|v| v.is_finite())).take(MOST).collect();
    let Some(ys) = Scale::over(shown.iter().flat_map(|b| b.five), BOTTOM, TOP) else { return frame::empty(labels) };
    let slot = (RIGHT - LEFT) / shown.len() as f64;
    let wide = (0.5 * slot).min(56.0);
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            (frame::base_line())
            @for (i, one) in shown.iter().enumerate() {
                @let middle = LEFT + slot * (i as f64 + 0.5);
                @let [low, lower, median, upper, high] = one.five.map(|v| ys.at(v));
                g {
                    title {
                        (one.name) ": " (number(one.five[0])) ", " (number(one.five[1])) ", median " (number(one.five[2]))
                        ", " (number(one.five[3])) ", " (number(one.five[4]))
                    }
                    line x1=(px(middle)) x2=(px(middle)) y1=(px(low)) y2=(px(lower)) stroke="currentColor" {}
                    line x1=(px(middle)) x2=(px(middle)) y1=(px(upper)) y2=(px(high)) stroke="currentColor" {}
                    rect x=(px(middle - wide / 2.0)) width=(px(wide)) y=(px(upper)) height=(px((lower - upper).max(0.5)))
                        fill=(colour(0)) fill-opacity="0.35" stroke=(colour(0)) {}
                    line x1=(px(middle - wide / 2.0)) x2=(px(middle + wide / 2.0)) y1=(px(median)) y2=(px(median))
                        stroke="currentColor" stroke-width="2" {}
                }
                text class=[frame::thinnable(shown.len())] x=(px(middle)) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (shortened(one.name, (slot / 7.0) as usize)) }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_numbers_are_drawn_and_told() {
        let good = BoxOf { name: "a<b", five: [0.0, 1.0, 2.0, 4.0, 9.0] };
        let bad = BoxOf { name: "bad", five: [0.0, 1.0, f64::NAN, 4.0, 9.0] };
        let svg = box_plot(Labels::default(), &[good, bad]).into_string();
        assert!(svg.contains("a&lt;b: 0, 1, median 2, 4, 9") && !svg.contains("bad") && !svg.contains("NaN"));
        assert_eq!(svg.matches("<rect").count(), 1);
        assert_eq!(box_plot(Labels::default(), &[good; 500]).into_string().matches("<rect").count(), MOST);
        assert!(box_plot(Labels::default(), &[bad]).into_string().contains("no values"));
    }
}
