//! OpenAI.
/// TEMP
pub struct OpenAi;
impl super::Dialect for OpenAi {
    fn parse_chat(&self, _: bytes::Bytes, _: http::HeaderMap) -> Result<crate::types::request::Request, crate::types::api_error::ApiError> { todo!() }
    fn render_whole(&self, _: &super::Head, _: super::RenderOptions, _: &super::WholeReply, _: &mut bytes::BytesMut) { todo!() }
    fn stream(&self, _: &super::Head, _: super::RenderOptions) -> Box<dyn super::StreamRenderer> { todo!() }
    fn headers(&self, _: &super::HeaderFacts, _: &mut http::HeaderMap) { todo!() }
    fn render_error(&self, _: &crate::types::api_error::ApiError) -> super::ErrorReply { todo!() }
    fn render_models(&self, _: &[super::ModelCard]) -> bytes::Bytes { todo!() }
    fn render_model(&self, _: &super::ModelCard) -> bytes::Bytes { todo!() }
}
