//! Which endpoint of which API a request means.

use http::Method;

/// An endpoint that the mock knows, or none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Chat,
    Responses,
    Embeddings,
    OpenAiModels,
    Messages,
    CountTokens,
    AnthropicModels,
    GenerateContent { model: &'a str, stream: bool },
    GeminiModels,
    Upload,
    File { id: &'a str },
    Echo,
}

/// The shape in which an API writes its errors and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Other,
}

impl<'a> Route<'a> {
    /// `path` is the provider's own. Many providers offer another's API below a prefix, so the end of the path decides.
    pub(crate) fn of(provider: &str, method: &Method, path: &'a str) -> Self {
        match *method {
            Method::POST => Self::of_post(path),
            Method::GET if path.ends_with("/models") => match provider {
                "anthropic" => Self::AnthropicModels,
                "google" if !path.contains("/openai/") => Self::GeminiModels,
                _ => Self::OpenAiModels,
            },
            Method::GET | Method::DELETE => match path.split_once("/v1/files/") {
                Some((_, id)) if !id.is_empty() && !id.contains('/') => Self::File { id },
                _ => Self::Echo,
            },
            _ => Self::Echo,
        }
    }

    fn of_post(path: &'a str) -> Self {
        if path.ends_with("/chat/completions") {
            Self::Chat
        } else if path.ends_with("/v1/messages") {
            Self::Messages
        } else if path.ends_with("/v1/messages/count_tokens") {
            Self::CountTokens
        } else if path.ends_with("/responses") {
            Self::Responses
        } else if path.ends_with("/embeddings") {
            Self::Embeddings
        } else if path.ends_with("/v1/files") {
            Self::Upload
        } else {
            Self::of_gemini(path).unwrap_or(Self::Echo)
        }
    }

    fn of_gemini(path: &'a str) -> Option<Self> {
        let (_, model_and_call) = path.split_once("/models/")?;
        let (model, call) = model_and_call.rsplit_once(':')?;
        match call {
            "generateContent" => Some(Self::GenerateContent { model, stream: false }),
            "streamGenerateContent" => Some(Self::GenerateContent { model, stream: true }),
            _ => None,
        }
    }

    /// The API's dialect; for endpoints that several APIs have, the provider's.
    pub(crate) fn dialect(self, provider: &str) -> Dialect {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings | Self::OpenAiModels => Dialect::OpenAi,
            Self::Messages | Self::CountTokens | Self::AnthropicModels => Dialect::Anthropic,
            Self::GenerateContent { .. } | Self::GeminiModels => Dialect::Gemini,
            Self::Upload | Self::File { .. } | Self::Echo => match provider {
                "openai" => Dialect::OpenAi,
                "anthropic" => Dialect::Anthropic,
                "google" => Dialect::Gemini,
                _ => Dialect::Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_path_tells_the_endpoint() {
        let table = [
            ("openai", Method::POST, "/v1/chat/completions", Route::Chat),
            ("zai", Method::POST, "/api/paas/v4/chat/completions", Route::Chat),
            ("zai", Method::POST, "/api/anthropic/v1/messages", Route::Messages),
            ("google", Method::POST, "/v1beta/openai/chat/completions", Route::Chat),
            ("google", Method::GET, "/v1beta/openai/models", Route::OpenAiModels),
            ("google", Method::GET, "/v1beta/models", Route::GeminiModels),
            ("anthropic", Method::GET, "/v1/models", Route::AnthropicModels),
            ("fireworks", Method::GET, "/inference/v1/models", Route::OpenAiModels),
            ("openai", Method::GET, "/v1/files/file-1", Route::File { id: "file-1" }),
            ("openai", Method::GET, "/v1/files/file-1/content", Route::Echo),
            ("openai", Method::GET, "/v1/chat/completions", Route::Echo),
            ("google", Method::POST, "/v1beta/models/m-1:countTokens", Route::Echo),
        ];
        for (provider, method, path, route) in table {
            assert_eq!(Route::of(provider, &method, path), route, "{method} {provider}{path}");
        }
        let stream = Route::of("google", &Method::POST, "/v1beta/models/m-1:streamGenerateContent");
        assert_eq!(stream, Route::GenerateContent { model: "m-1", stream: true });
    }
}
