//! A component that has its work done by another one: it imports `docket:test/math`.

use spin_sdk::http::Request;
use spin_sdk::http_service;

mod bindings {
    spin_sdk::wit_bindgen::generate!({
        inline: "
            package docket:test@1.0.0;
            interface math { add-one: func(number: u32) -> u32; }
            world composed { import math; }
        ",
        runtime_path: "::spin_sdk::wit_bindgen::rt",
    });
}

#[http_service]
async fn handle(_: Request) -> String {
    bindings::docket::test::math::add_one(41).to_string()
}
