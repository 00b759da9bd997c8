//! The engine, the imports that it offers to components, and the clock that interrupts them.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::guest::{Guest, Variables, variables};
use crate::turns::Turns;

/// How often a computing guest is interrupted.
pub const TICK: Duration = Duration::from_millis(10);

/// Makes an engine with room for `instances` instances of at most `memory` bytes each.
pub fn engine(instances: u32, memory: usize) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    // A composed component is several core instances, with a memory and a table each.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(6))
        .total_stacks(instances)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(32)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(8 << 20)
        .table_elements(100_000)
        .max_memory_size(memory)
        // What a slot may keep between two uses: more makes the next use cheaper, and the host bigger.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(16 << 10)
        .max_unused_warm_slots(16);
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .async_stack_size(1 << 20)
        .max_wasm_stack(512 << 10)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// All imports that a component may have.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    variables::add_to_linker::<_, Variables>(&mut linker, |guest| guest)?;
    Ok(linker)
}

/// Begins an epoch, and the turns of its tick, again and again, on a thread of its own until the engine is gone.
pub fn start_clock(engine: &Engine, turns: Arc<Turns>) -> std::io::Result<()> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("epochs".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                turns.begin_tick();
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
    Ok(())
}
