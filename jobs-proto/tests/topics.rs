//! Topics in both directions, against the fixture vectors.

mod support;

use jobs_proto::topic::{Filter, InboundTopic, Reply, RequestTopic, TopicError};
use jobs_proto::{JobId, ThingName, limits};

fn thing(name: &str) -> ThingName<'_> {
    ThingName::new(name).unwrap()
}

fn job(id: &str) -> JobId<'_> {
    JobId::new(id).unwrap()
}

/// What the fixture's words mean for the thing in the topic.
fn meaning(
    topic: &str,
) -> (
    Result<RequestTopic<'_>, TopicError>,
    Result<InboundTopic<'_>, TopicError>,
) {
    let name = topic.split('/').nth(2).unwrap();
    (
        RequestTopic::parse(topic, thing(name)),
        InboundTopic::parse(topic, thing(name)),
    )
}

#[test]
fn the_parse_vectors_mean_what_the_fixture_says() {
    let wrong = TopicError::WrongDirection;
    for vector in support::json("topics")["parseVectors"].as_array().unwrap() {
        let topic = vector["topic"].as_str().unwrap();
        let (request, inbound) = meaning(topic);
        let says = vector["meaning"].as_str().unwrap();
        let asks = |expected| assert_eq!((request, inbound), (Ok(expected), Err(wrong)), "{topic}");
        let tells =
            |expected| assert_eq!((request, inbound), (Err(wrong), Ok(expected)), "{topic}");
        match says {
            "GetPending" | "GetPending of thing \"get\"" => asks(RequestTopic::GetPending),
            "StartNext" => asks(RequestTopic::StartNext),
            "Describe $next" => asks(RequestTopic::DescribeNext),
            "Describe jobId=get" => asks(RequestTopic::Describe(job("get"))),
            "Describe jobId=start-next" => asks(RequestTopic::Describe(job("start-next"))),
            "Describe jobId=jobs of thing \"jobs\"" => asks(RequestTopic::Describe(job("jobs"))),
            "Update jobId=start-next" => asks(RequestTopic::Update(job("start-next"))),
            "Update" => asks(RequestTopic::Update(job("job-1"))),
            "GetPending accepted" => tells(InboundTopic::GetPending(Reply::Accepted)),
            "StartNext rejected" => tells(InboundTopic::StartNext(Reply::Rejected)),
            "Describe $next accepted" => tells(InboundTopic::DescribeNext(Reply::Accepted)),
            "Describe jobId=get accepted" => {
                tells(InboundTopic::Describe(job("get"), Reply::Accepted));
            }
            "Update jobId=notify accepted" => {
                tells(InboundTopic::Update(job("notify"), Reply::Accepted));
            }
            "Update rejected" => tells(InboundTopic::Update(job("job-1"), Reply::Rejected)),
            "JobExecutionsChanged" => tells(InboundTopic::Notify),
            "NextJobExecutionChanged" => tells(InboundTopic::NotifyNext),
            "ignore if own name is MyThing" => assert_eq!(
                InboundTopic::parse(topic, thing("MyThing")),
                Err(TopicError::OtherThing)
            ),
            "InvalidTopic" | "InvalidTopic/InvalidRequest ($next only for get)" => {
                assert_eq!(request, Err(TopicError::Malformed));
                assert_eq!(inbound, Err(TopicError::Malformed));
            }
            other => panic!("vector without a check: {other}"),
        }
    }
}

#[test]
fn every_topic_of_the_fixture_is_built_and_parsed_back() {
    let name = thing("T1");
    for row in support::json("topics")["topics"].as_array().unwrap() {
        let template = row["topic"].as_str().unwrap();
        let topic = template
            .replace("{thingName}", "T1")
            .replace("{jobId}", "j_1");
        let mut buf = [0; limits::TOPIC_LEN_MAX];
        let built = if row["direction"] == "publish" {
            let request = RequestTopic::parse(&topic, name).unwrap();
            assert_eq!(request.encoded_len(name), topic.len());
            request.encode(name, &mut buf).unwrap()
        } else {
            let inbound = InboundTopic::parse(&topic, name).unwrap();
            assert_eq!(inbound.encoded_len(name), topic.len());
            inbound.encode(name, &mut buf).unwrap()
        };
        assert_eq!(built, topic);
    }
}

#[test]
fn topics_of_the_message_fixtures_belong_to_their_message() {
    for (file, wanted) in [
        ("notify", "Notify"),
        ("notify-next", "NotifyNext"),
        ("get-pending.accepted", "GetPending(Accepted)"),
        ("start-next.accepted", "StartNext(Accepted)"),
        ("start-next.rejected", "StartNext(Rejected)"),
    ] {
        for example in support::examples(file) {
            let topic = example.topic.unwrap();
            assert_eq!(format!("{:?}", meaning(&topic).1.unwrap()), wanted);
        }
    }
    for example in support::examples("update.request") {
        assert!(matches!(
            meaning(&example.topic.unwrap()).0,
            Ok(RequestTopic::Update(_))
        ));
    }
}

#[test]
fn topics_with_a_name_space_are_recognised() {
    let rows = support::json("topics")["namespaceVariantGreengrassOnly"]
        .as_array()
        .unwrap()
        .clone();
    for row in rows {
        let topic = row["topic"].as_str().unwrap().replace("{thingName}", "T");
        let topic = topic.replace("{jobId}", "j").replace("{namespaceId}", "gg");
        assert_eq!(
            InboundTopic::parse(&topic, thing("T")),
            Err(TopicError::Namespaced),
            "{topic}"
        );
        let reply = format!("{topic}/accepted");
        if topic.ends_with("/get") || topic.ends_with("/update") {
            assert_eq!(
                InboundTopic::parse(&reply, thing("T")),
                Err(TopicError::Namespaced)
            );
        }
    }
}

#[test]
fn foreign_and_broken_topics_are_told_apart() {
    let own = thing("T");
    for (topic, error) in [
        ("", TopicError::NotJobs),
        ("$aws/things/T/shadow/get/accepted", TopicError::NotJobs),
        ("$aws/things/T/jobs", TopicError::NotJobs),
        ("$aws/events/job/j/completed", TopicError::NotJobs),
        ("$aws/things/T2/jobs/notify", TopicError::OtherThing),
        ("$aws/things/T/jobs/", TopicError::Malformed),
        ("$aws/things/T/jobs//get/accepted", TopicError::Malformed),
        ("$aws/things/T/jobs/a.b/get/accepted", TopicError::Malformed),
        ("$aws/things/T/jobs/j/get/accepted/", TopicError::Malformed),
        ("$aws/things/T/jobs/j/get/maybe", TopicError::Malformed),
        ("$aws/things/T/jobs/notify/accepted", TopicError::Malformed),
        ("$aws/things/T/jobs/notify/+", TopicError::Malformed),
        ("$aws/things/T/jobs/j/get/+", TopicError::Malformed),
        (
            "$aws/things/T/jobs/$next/update/accepted",
            TopicError::Malformed,
        ),
        ("$aws/things/T/jobs/get/", TopicError::Malformed),
    ] {
        assert_eq!(InboundTopic::parse(topic, own), Err(error), "{topic}");
    }
    let long = format!("$aws/things/T/jobs/{}/get/accepted", "j".repeat(65));
    assert_eq!(InboundTopic::parse(&long, own), Err(TopicError::Malformed));
}

#[test]
fn the_longest_topics_reach_the_constants_and_need_all_of_them() {
    let (name, id) = ("t".repeat(128), "j".repeat(64));
    let (name, id) = (thing(&name), job(&id));
    let request = RequestTopic::Update(id);
    assert_eq!(request.encoded_len(name), limits::REQUEST_TOPIC_LEN_MAX);
    let inbound = request.reply(Reply::Accepted);
    assert_eq!(inbound.encoded_len(name), limits::TOPIC_LEN_MAX);
    let sizes = &support::json("topics")["maxTopicBytes"];
    assert_eq!(sizes["update/accepted"], limits::TOPIC_LEN_MAX);
    let longest = Filter::ALL
        .iter()
        .map(|filter| filter.encoded_len(name))
        .max();
    assert_eq!(longest, Some(limits::FILTER_LEN_MAX));

    let mut short = [0; limits::TOPIC_LEN_MAX - 1];
    let needed = inbound.encode(name, &mut short).unwrap_err().needed;
    assert_eq!(needed, limits::TOPIC_LEN_MAX);
}

#[test]
fn the_filters_are_the_recommended_set() {
    let mut ours: Vec<String> = Filter::ALL
        .iter()
        .map(|filter| filter.encode(thing("T"), &mut [0; 200]).unwrap().to_owned())
        .collect();
    let sets = support::json("topics")["subscriptionSets"].clone();
    let mut theirs: Vec<String> = sets["recommended(7<=8)"]
        .as_array()
        .unwrap()
        .iter()
        .map(|filter| filter.as_str().unwrap().replace("{thingName}", "T"))
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert!(ours.len() <= limits::FILTERS_PER_SUBSCRIBE_MAX);
}
