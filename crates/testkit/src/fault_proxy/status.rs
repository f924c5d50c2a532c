//! Failures as the API server tells them.

use anyhow::Result;
use axum::body::Body;
use http::{Response, StatusCode, header};

/// An answer with an object `Status`, as the API server writes it.
pub(super) fn status(code: StatusCode) -> Result<Response<Body>> {
    let answer = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    Ok(answer.body(Body::from(status_object(code).to_string()))?)
}

/// The object `Status` of a status code.
pub(super) fn status_object(code: StatusCode) -> serde_json::Value {
    let reason = match code {
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "",
    };
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "made by the proxy of a test", "reason": reason, "code": code.as_u16(),
    })
}
