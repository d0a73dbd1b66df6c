//! Units of measurement that a cleaning decision can turn into each other.
//!
//! Each is `base = value × factor + offset`. Factors are exact by definition: NIST Special Publication 811 (2008),
//! appendix B, and the SI brochure (9th edition); golden values are from `pint`.

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// How it is written in project files.
    pub name: &'static str,
    /// What it measures; only units of one quantity can be turned into each other.
    pub quantity: &'static str,
    /// Base units in one unit.
    pub factor: f64,
    /// Base units at zero.
    pub offset: f64,
}

const fn unit(quantity: &'static str, name: &'static str, factor: f64) -> Unit {
    Unit { name, quantity, factor, offset: 0.0 }
}

/// Every unit, by quantity.
pub const UNITS: [Unit; 48] = [
    unit("length", "mm", 1e-3),
    unit("length", "cm", 1e-2),
    unit("length", "m", 1.0),
    unit("length", "km", 1e3),
    unit("length", "in", 0.0254),
    unit("length", "ft", 0.3048),
    unit("length", "yd", 0.9144),
    unit("length", "mi", 1_609.344),
    unit("length", "nmi", 1_852.0),
    unit("mass", "mg", 1e-6),
    unit("mass", "g", 1e-3),
    unit("mass", "kg", 1.0),
    unit("mass", "t", 1e3),
    unit("mass", "oz", 0.028_349_523_125),
    unit("mass", "lb", 0.453_592_37),
    Unit { name: "K", quantity: "temperature", factor: 1.0, offset: 0.0 },
    Unit { name: "°C", quantity: "temperature", factor: 1.0, offset: 273.15 },
    Unit { name: "°F", quantity: "temperature", factor: 5.0 / 9.0, offset: 459.67 * 5.0 / 9.0 },
    unit("speed", "m/s", 1.0),
    unit("speed", "km/h", 1.0 / 3.6),
    unit("speed", "mph", 0.447_04),
    unit("speed", "kn", 1_852.0 / 3_600.0),
    unit("pressure", "Pa", 1.0),
    unit("pressure", "hPa", 1e2),
    unit("pressure", "kPa", 1e3),
    unit("pressure", "bar", 1e5),
    unit("pressure", "atm", 101_325.0),
    unit("time", "ms", 1e-3),
    unit("time", "s", 1.0),
    unit("time", "min", 60.0),
    unit("time", "h", 3_600.0),
    unit("time", "d", 86_400.0),
    unit("volume", "ml", 1e-6),
    unit("volume", "l", 1e-3),
    unit("volume", "m3", 1.0),
    unit("volume", "gal_us", 0.003_785_411_784),
    unit("area", "m2", 1.0),
    unit("area", "ha", 1e4),
    unit("area", "km2", 1e6),
    unit("area", "sq_ft", 0.092_903_04),
    unit("energy", "J", 1.0),
    unit("energy", "kJ", 1e3),
    unit("energy", "kWh", 3.6e6),
    unit("energy", "kcal", 4_184.0),
    unit("power", "W", 1.0),
    unit("power", "kW", 1e3),
    unit("share", "1", 1.0),
    unit("share", "%", 1e-2),
];

impl Unit {
    /// The unit of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        UNITS.iter().find(|unit| unit.name == name)
    }

    /// A value in this unit, in another of the same quantity.
    #[must_use]
    pub fn convert(&self, value: f64, to: &Self) -> f64 {
        (value * self.factor + (self.offset - to.offset)) / to.factor
    }
}
