//! The server: S3 over the folder, and MinIO's health paths in front of it.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::ExistingBuckets;
use crate::credentials::Credentials;
use crate::options::Options;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn until_stopped(options: &Options, credentials: &Credentials) -> Result<(), String> {
    let files = FileSystem::new(&options.data)
        .map_err(|cause| format!("unable to use the drive {}: {cause:?}", options.data.display()))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(credentials.user.clone(), credentials.password.clone()));
    builder.set_access(ExistingBuckets { data: options.data.clone() });
    let store = Store { s3: builder.build(), data: options.data.clone() };

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start: {cause}"))?;
    runtime.block_on(async {
        let api = listen(&options.address).await?;
        let console = match &options.console {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let _ =
            writeln!(std::io::stderr(), "API: http://{} data: {}", options.address, options.data.display());
        let mut terminate = signal(SignalKind::terminate()).map_err(|cause| cause.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|cause| cause.to_string())?;
        tokio::select! {
            never = accept(api, Some(&store)) => match never {},
            never = accept_console(console) => match never {},
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

#[derive(Clone)]
struct Store {
    s3: S3Service,
    data: PathBuf,
}

async fn listen(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|cause| format!("cannot listen on {address}: {cause}"))
}

async fn accept_console(listener: Option<TcpListener>) -> Infallible {
    match listener {
        Some(listener) => accept(listener, None).await,
        None => std::future::pending().await,
    }
}

async fn accept(listener: TcpListener, store: Option<&Store>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give the open connections time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let store = store.cloned();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(|request| answer(store.clone(), request));
            // A client that goes away is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(store: Option<Store>, request: Request<Incoming>) -> Result<Response<Body>, s3s::HttpError> {
    let Some(store) = store else {
        return Ok(plain(StatusCode::NOT_FOUND, "there is no console here\n"));
    };
    match request.uri().path() {
        "/minio/health/live" => Ok(plain(StatusCode::OK, "")),
        "/minio/health/ready" | "/minio/health/cluster" => Ok(match readable(&store.data) {
            true => plain(StatusCode::OK, ""),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, "the drive cannot be read\n"),
        }),
        _ => store.s3.call(request.map(Body::from)).await,
    }
}

fn readable(data: &Path) -> bool {
    std::fs::read_dir(data).is_ok()
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}
