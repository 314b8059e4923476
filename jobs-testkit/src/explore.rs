//! Exhaustive exploration: every state that a model can reach, breadth first.
//!
//! Two things are shown of each state: no promise was broken on the way to it (safety), and from
//! it the goal can still be reached without any help of chance (nothing is stuck). Breadth first
//! makes the first counterexample a shortest one.
//!
//! States are told apart by a 128-bit hash of their canonical form (a million states make a
//! collision less likely than one in 2^88); whole states are kept only on the frontier.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write as _,
};

/// A system to explore: plain data, and the moves it can make.
pub trait Model: Clone {
    /// One move.
    type Move: Copy;

    /// Every move that is possible here.
    fn moves(&self, into: &mut Vec<Self::Move>);

    /// Called on the state that `made` led to: ways in which the same move could have been cut
    /// short. They are played from the state before it.
    fn cut_short(&self, made: Self::Move, into: &mut Vec<Self::Move>);

    /// Makes the move.
    ///
    /// # Errors
    /// A sentence about the promise that it breaks.
    fn make(&mut self, chosen: Self::Move) -> Result<(), String>;

    /// Equal for states that behave alike.
    fn key(&self) -> u128;

    /// Whether everything is done.
    fn is_goal(&self) -> bool;

    /// Whether the goal may be reached by this move: no fault, and nothing that only chance brings.
    fn is_helpful(&self, chosen: Self::Move) -> bool;

    /// The move in words, and what it led to when made here.
    fn tell(&mut self, chosen: Self::Move) -> String;
}

/// What an exploration covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Moves between them.
    pub transitions: usize,
    /// Moves on the longest of the shortest ways.
    pub depth: usize,
    /// States in which everything is done.
    pub goals: usize,
}

/// Why an exploration failed, with a shortest way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// What is wrong.
    pub text: String,
    /// The way there, one line per move.
    pub trace: String,
    /// Moves on that way.
    pub moves: usize,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\nafter {} moves:\n{}",
            self.text, self.moves, self.trace
        )
    }
}

struct Node<M> {
    parent: u32,
    made: Option<M>,
    depth: u32,
}

struct Search<M: Model> {
    nodes: Vec<Node<M::Move>>,
    seen: HashMap<u128, u32>,
    /// Helpful transitions, for the way back from the goals.
    helpful: Vec<(u32, u32)>,
    goals: Vec<u32>,
    transitions: usize,
}

/// Explores everything that can be reached from `start`.
///
/// # Errors
/// A shortest counterexample; or, that the space has more than `states_max` states.
pub fn explore<M: Model>(start: &M, states_max: usize) -> Result<Explored, Box<Counterexample>> {
    let mut search = Search::<M> {
        nodes: Vec::new(),
        seen: HashMap::new(),
        helpful: Vec::new(),
        goals: Vec::new(),
        transitions: 0,
    };
    let mut frontier = VecDeque::new();
    let first = search.enter(start, 0, None);
    frontier.push_back((first.0, start.clone()));
    let (mut moves, mut shorter) = (Vec::new(), Vec::new());
    while let Some((id, state)) = frontier.pop_front() {
        moves.clear();
        state.moves(&mut moves);
        let whole = moves.len();
        let mut at = 0;
        while at < moves.len() {
            let chosen = moves[at];
            let mut after = state.clone();
            if let Err(text) = after.make(chosen) {
                return Err(search.tell(start, text, id, Some(chosen)));
            }
            if at < whole {
                shorter.clear();
                after.cut_short(chosen, &mut shorter);
                moves.append(&mut shorter);
            }
            at += 1;
            search.transitions += 1;
            let (to, fresh) = search.enter(&after, id, Some(chosen));
            if state.is_helpful(chosen) {
                search.helpful.push((id, to));
            }
            if fresh {
                if search.nodes.len() > states_max {
                    let text = format!("more than {states_max} states");
                    return Err(search.tell(start, text, to, None));
                }
                frontier.push_back((to, after));
            }
        }
    }
    search.finish(start)
}

impl<M: Model> Search<M> {
    /// The number of this state, and whether it is new.
    fn enter(&mut self, state: &M, parent: u32, made: Option<M::Move>) -> (u32, bool) {
        let id = u32::try_from(self.nodes.len()).expect("states are bounded");
        let known = *self.seen.entry(state.key()).or_insert(id);
        if known != id {
            return (known, false);
        }
        let depth = self.nodes.get(parent as usize).map_or(0, |p| p.depth + 1);
        self.nodes.push(Node {
            parent,
            made,
            depth,
        });
        if state.is_goal() {
            self.goals.push(id);
        }
        (id, true)
    }

    /// Walks back from the goals: what is not met on the way is stuck.
    fn finish(self, start: &M) -> Result<Explored, Box<Counterexample>> {
        let states = self.nodes.len();
        let mut first = vec![0_u32; states + 1];
        for (_, to) in &self.helpful {
            first[*to as usize + 1] += 1;
        }
        for at in 0..states {
            first[at + 1] += first[at];
        }
        let mut place = first.clone();
        let mut sources = vec![0_u32; self.helpful.len()];
        for (from, to) in &self.helpful {
            let slot = &mut place[*to as usize];
            sources[*slot as usize] = *from;
            *slot += 1;
        }
        let mut live = vec![false; states];
        let mut work = self.goals.clone();
        for goal in &work {
            live[*goal as usize] = true;
        }
        while let Some(at) = work.pop() {
            let range = first[at as usize] as usize..first[at as usize + 1] as usize;
            for from in &sources[range] {
                if !std::mem::replace(&mut live[*from as usize], true) {
                    work.push(*from);
                }
            }
        }
        let stuck = live.iter().filter(|live| !**live).count();
        if let Some(at) = live.iter().position(|live| !live) {
            let text = format!("stuck: no way to the goal from {stuck} of {states} states");
            let at = u32::try_from(at).expect("states are bounded");
            return Err(self.tell(start, text, at, None));
        }
        Ok(Explored {
            states,
            transitions: self.transitions,
            depth: self.nodes.iter().map(|n| n.depth).max().unwrap_or(0) as usize,
            goals: self.goals.len(),
        })
    }

    /// Plays the way to `at` again, with words.
    fn tell(&self, start: &M, text: String, at: u32, last: Option<M::Move>) -> Box<Counterexample> {
        let mut way: Vec<M::Move> = last.into_iter().collect();
        let mut node = &self.nodes[at as usize];
        while let Some(made) = node.made {
            way.push(made);
            node = &self.nodes[node.parent as usize];
        }
        way.reverse();
        let mut state = start.clone();
        let mut trace = String::new();
        for (number, made) in way.iter().enumerate() {
            let line = state.tell(*made);
            writeln!(trace, "{:3}. {line}", number + 1).expect("a String takes everything");
        }
        Box::new(Counterexample {
            text,
            trace,
            moves: way.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters to three; a broken rule and a trap can be switched on.
    #[derive(Clone, Copy)]
    struct Counters {
        at: [u8; 2],
        forbidden: Option<[u8; 2]>,
        trap: Option<[u8; 2]>,
    }

    impl Model for Counters {
        type Move = usize;

        fn moves(&self, into: &mut Vec<usize>) {
            if self.trap != Some(self.at) {
                into.extend((0..2).filter(|which| self.at[*which] < 3));
            }
        }

        fn cut_short(&self, _: usize, _: &mut Vec<usize>) {}

        fn make(&mut self, which: usize) -> Result<(), String> {
            self.at[which] += 1;
            match self.forbidden {
                Some(at) if at == self.at => Err("forbidden".into()),
                Some(_) | None => Ok(()),
            }
        }

        fn key(&self) -> u128 {
            u128::from(u16::from_le_bytes(self.at))
        }

        fn is_goal(&self) -> bool {
            self.at == [3, 3]
        }

        fn is_helpful(&self, _: usize) -> bool {
            true
        }

        fn tell(&mut self, which: usize) -> String {
            self.make(which).err().unwrap_or_else(|| which.to_string())
        }
    }

    const COUNTERS: Counters = Counters {
        at: [0, 0],
        forbidden: None,
        trap: None,
    };

    #[test]
    fn a_known_space_is_counted_exactly() {
        let explored = explore(&COUNTERS, 100).unwrap();
        let expected = Explored {
            states: 16,
            transitions: 24,
            depth: 6,
            goals: 1,
        };
        assert_eq!(explored, expected);
    }

    #[test]
    fn a_broken_rule_is_found_by_a_shortest_way() {
        let model = Counters {
            forbidden: Some([2, 1]),
            ..COUNTERS
        };
        let found = explore(&model, 100).unwrap_err();
        assert_eq!((found.text.as_str(), found.moves), ("forbidden", 3));
        assert!(found.trace.ends_with("  3. forbidden\n"), "{}", found.trace);
    }

    #[test]
    fn a_state_without_a_way_out_is_found_stuck() {
        let model = Counters {
            trap: Some([1, 1]),
            ..COUNTERS
        };
        let found = explore(&model, 100).unwrap_err();
        assert_eq!(found.moves, 2);
        assert!(found.text.starts_with("stuck: "), "{}", found.text);
    }

    #[test]
    fn a_space_larger_than_allowed_is_no_success() {
        assert!(explore(&COUNTERS, 15).is_err());
    }
}
