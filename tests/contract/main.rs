//! Wire contracts: bytes and names that other processes rely on.

mod protos;
mod subjects;
