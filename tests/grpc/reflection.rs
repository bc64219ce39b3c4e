//! Reflection: whatever a tool needs to list, describe and call, without a proto file at hand.

use crate::refusal;
use crate::server::{HANG, Server, Setup, quick, soon};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use std::collections::{BTreeMap, BTreeSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic_reflection::pb::v1;

/// Both versions have the same messages, under names of their own.
macro_rules! version {
    ($name:ident) => {
        pub(super) mod $name {
            use crate::server::{Server, soon};
            use tonic_reflection::pb::$name::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$name::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$name::server_reflection_response::MessageResponse;
            use tonic_reflection::pb::$name::{ServerReflectionRequest, ServerReflectionResponse};

            /// The answer, or the code of the status that ended the stream.
            async fn ask(server: &Server, question: MessageRequest) -> Result<MessageResponse, i32> {
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
                let mut client = ServerReflectionClient::new(server.channel().await);
                let requests = tokio_stream::once(request);
                let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
                match soon("an answer", answers.message()).await {
                    Ok(Some(ServerReflectionResponse { message_response, .. })) => Ok(message_response.unwrap()),
                    Ok(None) => panic!("no answer"),
                    Err(status) => Err(status.code().into()),
                }
            }

            pub(in crate::reflection) async fn services(server: &Server) -> Vec<String> {
                match ask(server, MessageRequest::ListServices(String::new())).await {
                    Ok(MessageResponse::ListServicesResponse(list)) => {
                        list.service.into_iter().map(|service| service.name).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }

            /// The files that a symbol needs, or the code of the refusal.
            pub(in crate::reflection) async fn symbol(server: &Server, name: &str) -> Result<Vec<Vec<u8>>, i32> {
                ask(server, MessageRequest::FileContainingSymbol(name.to_owned())).await.map(files)
            }

            pub(in crate::reflection) async fn file(server: &Server, name: &str) -> Result<Vec<Vec<u8>>, i32> {
                ask(server, MessageRequest::FileByFilename(name.to_owned())).await.map(files)
            }

            fn files(answer: MessageResponse) -> Vec<Vec<u8>> {
                match answer {
                    MessageResponse::FileDescriptorResponse(found) => {
                        found.file_descriptor_proto.into_iter().map(|file| file.to_vec()).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    };
}

mod ask {
    version!(v1);
    version!(v1alpha);
}

const OURS: [&str; 12] = [
    "certmint.v1.AccessService",
    "certmint.v1.AuditService",
    "certmint.v1.CertificateAdminService",
    "certmint.v1.CertificateAuthorityService",
    "certmint.v1.CertificateService",
    "certmint.v1.InstallationService",
    "certmint.v1.KeyService",
    "certmint.v1.MasterKeyService",
    "certmint.v1.RenewalService",
    "certmint.v1.SecretService",
    "certmint.v1.VaultService",
    "certmint.v1.WebhookService",
];
const OTHERS: [&str; 3] =
    ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

#[tokio::test]
async fn both_versions_list_every_service() {
    let server = Server::start().await;
    for mut listed in [ask::v1::services(&server).await, ask::v1alpha::services(&server).await] {
        listed.sort();
        assert_eq!(listed, OURS.into_iter().chain(OTHERS).collect::<Vec<_>>());
    }
}

/// Everything that is reachable from a symbol, as a tool fetches it: file after file.
async fn whole(server: &Server, symbol: &str) -> BTreeMap<String, FileDescriptorProto> {
    let mut expected = ask::v1::symbol(server, symbol).await.unwrap();
    let mut known = BTreeMap::new();
    while let Some(bytes) = expected.pop() {
        let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
        for dependency in file.dependency.iter().filter(|name| !known.contains_key(*name)) {
            expected.extend(ask::v1::file(server, dependency).await.unwrap());
        }
        known.insert(file.name().to_owned(), file);
    }
    known
}

#[tokio::test]
async fn every_method_and_every_type_that_it_needs_can_be_described() {
    let server = Server::start().await;
    for service in OURS.into_iter().chain(OTHERS) {
        let files = whole(&server, service).await;
        let types: BTreeSet<String> = files
            .values()
            .flat_map(|file| {
                let package = file.package().to_owned();
                file.message_type.iter().map(move |message| format!(".{package}.{}", message.name()))
            })
            .collect();
        let (package, name) = service.rsplit_once('.').unwrap();
        let found = files.values().filter(|file| file.package() == package);
        let found = found.flat_map(|file| &file.service).find(|found| found.name() == name).unwrap();
        for method in &found.method {
            assert!(types.contains(method.input_type()) && types.contains(method.output_type()), "{method:?}");
            let full = format!("{service}.{}", method.name());
            assert!(ask::v1::symbol(&server, &full).await.is_ok(), "{full}");
            assert_eq!(ask::v1::symbol(&server, &full).await, ask::v1alpha::symbol(&server, &full).await);
        }
    }
}

#[tokio::test]
async fn the_details_of_errors_can_be_described() {
    let server = Server::start().await;
    for detail in ["ErrorInfo", "BadRequest", "PreconditionFailure", "ResourceInfo", "QuotaFailure", "RetryInfo"] {
        let files = ask::v1::symbol(&server, &format!("google.rpc.{detail}")).await.unwrap();
        let file = FileDescriptorProto::decode(files[0].as_slice()).unwrap();
        let has = |message: &DescriptorProto| message.name() == detail;
        assert!(file.message_type.iter().any(has), "{detail}");
    }
    assert!(ask::v1::symbol(&server, "google.rpc.Status").await.is_ok());
}

#[tokio::test]
async fn comments_and_the_rest_options_are_there() {
    let server = Server::start().await;
    let bytes = ask::v1::symbol(&server, "certmint.v1.CertificateService").await.unwrap().remove(0);
    const URI: &str = "GET /certificates/{certificate_name}/pending";
    let mut option = Vec::new();
    prost::encoding::string::encode(50100, &URI.to_owned(), &mut option);
    assert!(bytes.windows(option.len()).any(|window| window == option), "the option of GetPending");
    let file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
    let comments = file.source_code_info.unwrap().location;
    let has = |text: &str| comments.iter().any(|place| place.leading_comments().contains(text));
    assert!(has("Starts the creation of a certificate") && has("Streams the pending operations"));
}

#[tokio::test]
async fn what_is_reflected_is_the_contract_of_the_build() {
    let server = Server::start().await;
    let built = FileDescriptorSet::decode(certmint::proto::DESCRIPTOR_SET).unwrap();
    for file in built.file.iter().filter(|file| file.package() == "certmint.v1") {
        let reflected = ask::v1::file(&server, file.name()).await.unwrap().remove(0);
        assert_eq!(FileDescriptorProto::decode(reflected.as_slice()).unwrap(), *file);
    }
}

#[tokio::test]
async fn an_unknown_symbol_is_not_found() {
    let server = Server::start().await;
    const NOT_FOUND: i32 = 5;
    assert_eq!(ask::v1::symbol(&server, "certmint.v1.Nonsense").await, Err(NOT_FOUND));
    assert_eq!(ask::v1alpha::symbol(&server, "certmint.v1.Nonsense").await, Err(NOT_FOUND));
    assert_eq!(ask::v1::file(&server, "nonsense.proto").await, Err(NOT_FOUND));
    assert_eq!(ask::v1alpha::file(&server, "nonsense.proto").await, Err(NOT_FOUND));
}

/// A tool that keeps its stream open does not hold up the stop.
#[tokio::test]
async fn an_open_stream_of_reflection_ends_with_the_server() {
    let server = Server::with(Setup { listener: quick(), ..Setup::default() }).await;
    let (_questions, questions) = tokio::sync::mpsc::channel(1);
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let mut answers = client.server_reflection_info(ReceiverStream::new(questions)).await.unwrap().into_inner();
    let (took, end) = tokio::join!(server.end(), soon("the end", answers.message()));
    assert!(took < HANG, "{took:?}");
    assert_eq!(refusal::reason(&end.unwrap_err()), "SERVER_DRAINING");
}
