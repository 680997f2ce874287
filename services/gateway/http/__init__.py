"""The API over HTTP: conventions that hold for every call, and the calls by resource."""
