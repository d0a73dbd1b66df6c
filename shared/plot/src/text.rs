//! Names cut to the room there is.

/// The name, or its beginning and an ellipsis.
pub(crate) fn shortened(name: &str, most: usize) -> String {
    let most = most.max(2);
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_end() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("äbcd", 3), "äb…");
        assert_eq!(shortened("abcd", 0), "a…");
    }
}
