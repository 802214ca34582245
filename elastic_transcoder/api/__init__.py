"""The REST API: one view, driven by the service model. Source: API 2012-09-25."""
