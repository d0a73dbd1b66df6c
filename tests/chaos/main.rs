//! Crashes at random instants: nothing that the bus acknowledged is lost or doubled.

mod kills;
