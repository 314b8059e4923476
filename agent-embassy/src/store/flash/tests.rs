//! The store on a flash that loses its power at any byte.

mod agent;
mod cuts;
mod issue136;
mod nor;
mod records;
mod rules;
mod wear;
