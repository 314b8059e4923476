//! What goes in and comes out of the model: operations and messages.

use serde::{Deserialize, Serialize};

macro_rules! named_operations {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(Serialize, Deserialize)]
        pub enum $name {
            $(
                $(#[$variant_meta])*
                $variant,
            )+
        }

        impl $name {
            /// Every operation, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The operation's name as AWS spells it, for example `DescribeJobExecution`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }

            /// The operation of that AWS name, if the model has it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|op| op.name() == name)
            }
        }
    };
}

named_operations! {
    /// An operation of the control plane (service `iot`) that the model answers.
    ///
    /// Parameters carry the member names of the AWS service model (`thingName`, `jobId`, `force`, …),
    /// wherever HTTP puts them (path, query or body).
    ControlOp {
        /// Registers a thing.
        CreateThing,
        /// Shows a thing.
        DescribeThing,
        /// Lists things.
        ListThings,
        /// Changes the attributes of a thing.
        UpdateThing,
        /// Deletes a thing; its open executions become REMOVED.
        DeleteThing,
        /// Creates a static thing group.
        CreateThingGroup,
        /// Shows a thing group.
        DescribeThingGroup,
        /// Lists thing groups.
        ListThingGroups,
        /// Deletes a thing group.
        DeleteThingGroup,
        /// Adds a thing to a group; continuous jobs of the group reach it.
        AddThingToThingGroup,
        /// Takes a thing out of a group; its executions of the group's jobs become REMOVED.
        RemoveThingFromThingGroup,
        /// Lists the members of a group.
        ListThingsInThingGroup,
        /// Lists the groups of a thing.
        ListThingGroupsForThing,
        /// Creates a job.
        CreateJob,
        /// Shows a job.
        DescribeJob,
        /// Shows a job's document with its placeholders unresolved.
        GetJobDocument,
        /// Lists jobs.
        ListJobs,
        /// Changes a job's description and configuration.
        UpdateJob,
        /// Cancels a job.
        CancelJob,
        /// Deletes a job and its executions.
        DeleteJob,
        /// Adds targets to a continuous job.
        AssociateTargetsWithJob,
        /// Shows one execution.
        DescribeJobExecution,
        /// Lists the executions of a job.
        ListJobExecutionsForJob,
        /// Lists the executions of a thing.
        ListJobExecutionsForThing,
        /// Cancels one execution.
        CancelJobExecution,
        /// Deletes one execution.
        DeleteJobExecution,
        /// Tells the host name of an endpoint.
        DescribeEndpoint,
    }
}

named_operations! {
    /// An operation of the HTTPS data plane (service `iot-jobs-data`).
    DataOp {
        /// `GET /things/{thingName}/jobs`
        GetPendingJobExecutions,
        /// `PUT /things/{thingName}/jobs/$next`
        StartNextPendingJobExecution,
        /// `GET /things/{thingName}/jobs/{jobId}`
        DescribeJobExecution,
        /// `POST /things/{thingName}/jobs/{jobId}`
        UpdateJobExecution,
    }
}

/// Who gets a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Audience {
    /// The connection whose PUBLISH is being answered, subscribed or not, exactly once.
    ///
    /// Source: AWS IoT developer guide, reserved-topics.
    Requester,
    /// Every connection with a matching subscription, as for any broker message.
    Subscribers,
}

/// One MQTT message that the service sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who gets it.
    pub audience: Audience,
    /// The complete topic.
    pub topic: String,
    /// The payload, UTF-8 JSON.
    pub payload: Vec<u8>,
}
