//! Handlers of this board. Those that it shares with the gateway are in `examples/handlers`; here
//! is what they need of the board, and what only a board has.

mod dispense;
mod led;
mod restart;
mod settings;
mod system;

pub(crate) use dispense::Dispense;
pub(crate) use led::SetLed;
pub(crate) use restart::Restart;
pub(crate) use settings::{SETTINGS_LEN_MAX, Settings};
pub(crate) use system::{StackInUse, System};
